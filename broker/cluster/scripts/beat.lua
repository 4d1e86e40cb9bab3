-- A broker says that it is there, and learns which data this is and who has fallen silent.
--
-- Guarantee: data that may have lost something gets a new name, which every broker sees; and entry numbers never
-- come again, even if Redis has lost its last entries or all of them: whoever comes back puts the count far above
-- what it has read, since others may have read a little more.
--
-- KEYS[1] brokers  [2] head  [3] estates
-- ARGV[1] broker  [2] a name for the data if it needs one  [3] the number of the last entry that was read
-- ARGV[4] after how many milliseconds a broker counts as silent
-- Returns {which data this is, the number of the last entry, 1 when the broker was not among those that are
-- there, {all brokers}, {those that are silent, or whose heir is gone or is this broker}, the time in milliseconds}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local isNew = redis.call('ZADD', KEYS[1], now, ARGV[1])
-- A server that was started anew, or a replica that has become master, may lack what was written last.
local info = redis.call('INFO', 'server', 'replication')
local node = string.match(info, 'run_id:(%w+)') .. '/' .. string.match(info, 'master_replid:(%w+)')
local epoch, noted, last = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'node', 'count'))
local count, read = tonumber(last or '0'), tonumber(ARGV[3])
if not epoch or noted ~= node or read > count then
  epoch, count = ARGV[2], math.max(count, read) + 1000000
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'node', node, 'count', count)
end
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])
local estates = redis.call('HGETALL', KEYS[3])
for i = 1, #estates, 2 do
  local heir = estates[i + 1]
  if heir == ARGV[1] or not redis.call('ZSCORE', KEYS[1], heir) then table.insert(silent, estates[i]) end
end
return { epoch, count, isNew, redis.call('ZRANGE', KEYS[1], 0, -1), silent, now }
