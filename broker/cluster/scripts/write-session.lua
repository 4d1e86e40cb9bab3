-- Writes what has changed in a session; all of it where it begins, or has come here, or Redis may have lost some.
--
-- Guarantee: of a session that another broker has taken since nothing is changed, whoever comes late: a broker that
-- was frozen, or that took longer to let go than it was waited for. Of one that is written as a whole nothing older
-- is left, and it belongs to whoever has the client id.
--
-- KEYS[1] clients  [2] session  [3] sessions
-- ARGV[1] client id  [2] broker  [3] how many fields are set, then each with its value, and then those that are gone;
-- with the field `k` it is the whole session
-- Returns 1, or 0 when the session is another broker's, or none
local owner = redis.call('HGET', KEYS[2], 'o')
local last = 3 + 2 * tonumber(ARGV[3])
local isWhole = false
for i = 4, last, 2 do isWhole = isWhole or ARGV[i] == 'k' end
if owner ~= ARGV[2] then
  if not isWhole then return 0 end
  local holder = owner and redis.call('HGET', KEYS[1], ARGV[1])
  if owner and not (holder and cjson.decode(holder).broker == ARGV[2]) then return 0 end
end
if isWhole then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'o', ARGV[2])
  redis.call('SADD', KEYS[3], ARGV[1])
end
for i = 4, last, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
return 1
