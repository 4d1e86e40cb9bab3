-- Appends a batch to the log, and retains what is to be retained.
--
-- Guarantee: a batch that is sent twice, because the answer was lost, counts once; what is retained is
-- always the message of the highest version, and of those without one of the highest number; and what is
-- only retained again is so unless somebody has retained or cleared something there since it was compared.
--
-- KEYS[1] log  [2] head  [3] batches  [4] retained  [5] cleared, sorted set: topic -> version
-- ARGV[1] broker  [2] number of the batch  [3] how many entries the log keeps
-- ARGV[4 ...] for each entry: what it says, its message ('' for none), the topic on which the message is
-- retained ('' for none), '1' when it clears that topic, and the number of the entry after which nothing must
-- have happened to that topic ('' for a message of now)
-- Returns the number of the last entry; or the error TRYAGAIN while Redis is empty, and nobody has beaten.
local broker, batch = ARGV[1], tonumber(ARGV[2])
if redis.call('HEXISTS', KEYS[2], 'epoch') == 0 then return redis.error_reply('TRYAGAIN it is empty') end
local count = tonumber(redis.call('HGET', KEYS[2], 'count') or '0')
if tonumber(redis.call('HGET', KEYS[3], broker) or '0') >= batch then return count end
redis.call('HSET', KEYS[3], broker, batch)
local touched = {}
local function isTouched(topic, since)
  if not touched[since] then
    touched[since] = {}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. since .. '-0', '+')) do
      touched[since][entry[2][8]] = true
    end
  end
  return touched[since][topic]
end
-- Quotes inside of what the head says are escaped.
local function versionIn(head) return tonumber(string.match(head, '"version":(%d+)') or '') end
local function isOvertaken(topic, version)
  local value = redis.call('HGET', KEYS[4], topic)
  local known = value and versionIn(string.match(value, '\n([^\n]*)'))
  if not value then known = tonumber(redis.call('ZSCORE', KEYS[5], topic) or '') end
  return known and version < known
end
-- Versions are times: nothing that is older than an old one is still on its way.
local function noteCleared(topic, version)
  redis.call('ZADD', KEYS[5], version, topic)
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', redis.call('TIME')[1] * 1000 - 600000)
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -100001)
end
for i = 4, #ARGV, 5 do
  local head, message, topic, since = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4]
  local isVoid, version = since ~= '' and isTouched(topic, since), topic ~= '' and versionIn(head)
  if not isVoid then
    count = count + 1
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], count .. '-0',
      'o', broker, 'h', head, 'm', message, 'r', topic)
  end
  if topic ~= '' and not isVoid and not (version and isOvertaken(topic, version)) then
    if ARGV[i + 3] == '1' then
      redis.call('HDEL', KEYS[4], topic)
      if version then noteCleared(topic, version) end
    else
      redis.call('HSET', KEYS[4], topic, count .. '\n' .. head .. '\n' .. message)
    end
  end
end
redis.call('HSET', KEYS[2], 'count', count)
return count
