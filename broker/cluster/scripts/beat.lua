-- A broker says that it is there, and learns which data this is and who has fallen silent.
--
-- Guarantee: entry numbers never come again, even if Redis has lost its last entries or all of them: whoever
-- comes back puts the count far above what it has read, since others may have read a little more.
--
-- KEYS[1] brokers  [2] head
-- ARGV[1] broker  [2] which data Redis holds now  [3] the number of the last entry that was read
-- ARGV[4] after how many milliseconds a broker counts as silent
-- Returns {which data this was before, the number of the last entry, 1 when the broker was not among those
-- that are there, {all brokers}, {silent brokers}, the time in milliseconds}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local isNew = redis.call('ZADD', KEYS[1], now, ARGV[1])
local epoch = redis.call('HGET', KEYS[2], 'epoch') or ''
local count = tonumber(redis.call('HGET', KEYS[2], 'count') or '0')
local read = tonumber(ARGV[3])
if epoch ~= ARGV[2] or read > count then
  count = math.max(count, read) + 1000000
  redis.call('HSET', KEYS[2], 'epoch', ARGV[2], 'count', count)
end
local all = redis.call('ZRANGE', KEYS[1], 0, -1)
return { epoch, count, isNew, all, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4]), now }
