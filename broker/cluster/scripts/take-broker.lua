-- Takes over what a broker left behind that has fallen silent.
--
-- Guarantee: one broker gets it, and its wills come once.
--
-- KEYS[1] brokers  [2] wills of the silent one  [3] batches  [4] positions
-- ARGV[1] the silent broker  [2] since how many milliseconds it must be silent
-- Returns {the number up to which everything is in its sessions, client ids and wills in turn ...}; or false
-- when another broker was faster.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not last or tonumber(last) > now - ARGV[2] then return false end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
local wills = redis.call('HGETALL', KEYS[2])
redis.call('DEL', KEYS[2])
local position = redis.call('HGET', KEYS[4], ARGV[1]) or '0'
redis.call('HDEL', KEYS[4], ARGV[1])
table.insert(wills, 1, position)
return wills
