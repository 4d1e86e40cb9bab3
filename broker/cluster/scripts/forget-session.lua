-- A session has ended.
--
-- Guarantee: one that another broker has taken over stays.
--
-- KEYS[1] clients  [2] session  [3] sessions
-- ARGV[1] client id  [2] broker
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then
  local entry = cjson.decode(before)
  if entry.broker ~= ARGV[2] then return 0 end
  if entry.untilMs then redis.call('HDEL', KEYS[1], ARGV[1]) end
end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return 1
