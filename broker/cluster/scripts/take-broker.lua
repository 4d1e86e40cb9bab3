-- Takes over what a broker left behind that has fallen silent, or what its heir has not dealt with.
--
-- Guarantee: it has one heir at a time; what is not dealt with when the heir dies goes to another one.
--
-- KEYS[1] brokers  [2] wills of the silent one  [3] batches  [4] positions  [5] estates
-- [6] wills that it left behind
-- ARGV[1] the silent broker  [2] since how many milliseconds it must be silent  [3] the heir
-- Returns {the number up to which everything is in its sessions, client ids and wills in turn ...}; or false
-- when another broker was faster.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
local heir = redis.call('HGET', KEYS[5], ARGV[1])
if last then
  if tonumber(last) > now - ARGV[2] then return false end
elseif not heir or (heir ~= ARGV[3] and redis.call('ZSCORE', KEYS[1], heir)) then
  return false
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[5], ARGV[1], ARGV[3])
-- Away from where it writes them: it may come back.
local left = redis.call('HGETALL', KEYS[2])
for i = 1, #left, 2 do redis.call('HSET', KEYS[6], left[i], left[i + 1]) end
redis.call('DEL', KEYS[2])
local wills = redis.call('HGETALL', KEYS[6])
table.insert(wills, 1, redis.call('HGET', KEYS[4], ARGV[1]) or '0')
return wills
