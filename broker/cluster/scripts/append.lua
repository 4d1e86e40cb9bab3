-- Appends a batch to the log, and retains what is to be retained.
--
-- Guarantee: a batch that is sent twice, because the answer was lost, counts once; what is retained is
-- always the message of the highest number.
--
-- KEYS[1] log  [2] head  [3] batches  [4] retained
-- ARGV[1] broker  [2] number of the batch  [3] how many entries the log keeps
-- ARGV[4 ...] for each entry: what it says, its message ('' for none), the topic on which the message is
-- retained ('' for none), '1' when it clears that topic
-- Returns the number of the last entry.
local broker, batch = ARGV[1], tonumber(ARGV[2])
local count = tonumber(redis.call('HGET', KEYS[2], 'count') or '0')
if tonumber(redis.call('HGET', KEYS[3], broker) or '0') >= batch then return count end
redis.call('HSET', KEYS[3], broker, batch)
for i = 4, #ARGV, 4 do
  count = count + 1
  local head, message, topic = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], count .. '-0', 'o', broker, 'h', head, 'm', message)
  if topic ~= '' then
    if ARGV[i + 3] == '1' then
      redis.call('HDEL', KEYS[4], topic)
    else
      redis.call('HSET', KEYS[4], topic, count .. '\n' .. head .. '\n' .. message)
    end
  end
end
redis.call('HSET', KEYS[2], 'count', count)
return count
