-- Appends a batch to the log, and retains what is to be retained.
--
-- Guarantee: a batch that is sent twice, because the answer was lost, counts once; nothing is appended to data
-- that may have lost something, before the broker that appends has compared it with its own; what is retained is
-- always the message of the highest version, and of those without one of the highest number; and what is
-- only retained again is so unless somebody has retained or cleared something there since it was compared.
--
-- KEYS[1] log  [2] head  [3] batches  [4] retained  [5] cleared, sorted set: topic -> version
-- [6] emptied, sorted set: topic -> number of the entry that cleared it
-- ARGV[1] broker  [2] number of the batch, '0' for one without entries  [3] how many entries the log keeps
-- [4] which data it is for
-- ARGV[5 ...] for each entry: what it says, its message ('' for none), the topic on which the message is
-- retained ('' for none), '1' when it clears that topic, and the number of the entry after which nothing must
-- have happened to that topic ('' for a message of now)
-- Returns {the number of the last entry, the number of the broker's last batch}; or the error NEWDATA.
local broker, batch = ARGV[1], tonumber(ARGV[2])
local info = redis.call('INFO', 'server', 'replication')
local node = string.match(info, 'run_id:(%w+)') .. '/' .. string.match(info, 'master_replid:(%w+)')
local epoch, noted, last = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'node', 'count'))
if epoch ~= ARGV[4] or noted ~= node then return redis.error_reply('NEWDATA it may have lost something') end
local count, known = tonumber(last or '0'), tonumber(redis.call('HGET', KEYS[3], broker) or '0')
if known >= batch then return { count, known } end
redis.call('HSET', KEYS[3], broker, batch)
local function isTouched(topic, since)
  local value = redis.call('HGET', KEYS[4], topic)
  local number = value and string.match(value, '^%d+') or redis.call('ZSCORE', KEYS[6], topic) or '0'
  return tonumber(number) > tonumber(since)
end
-- Quotes inside of what the head says are escaped.
local function versionIn(head) return tonumber(string.match(head, '"version":(%d+)') or '') end
local function isOvertaken(topic, version)
  local value = redis.call('HGET', KEYS[4], topic)
  local highest = value and versionIn(string.match(value, '\n([^\n]*)'))
  if not value then highest = tonumber(redis.call('ZSCORE', KEYS[5], topic) or '') end
  return highest and version < highest
end
local function clear(topic, version)
  redis.call('HDEL', KEYS[4], topic)
  redis.call('ZADD', KEYS[6], count, topic)
  if not version then return end
  -- Versions are times: nothing that is older than an old one is still on its way.
  redis.call('ZADD', KEYS[5], version, topic)
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', redis.call('TIME')[1] * 1000 - 600000)
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -100001)
end
for i = 5, #ARGV, 5 do
  local head, message, topic, since = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4]
  local version = topic ~= '' and versionIn(head)
  if since == '' or not isTouched(topic, since) then
    count = count + 1
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], count .. '-0', 'o', broker, 'h', head, 'm', message)
    if topic ~= '' and not (version and isOvertaken(topic, version)) then
      if ARGV[i + 3] == '1' then clear(topic, version)
      else redis.call('HSET', KEYS[4], topic, count .. '\n' .. head .. '\n' .. message) end
    end
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', count - ARGV[3])
redis.call('HSET', KEYS[2], 'count', count)
return { count, batch }
