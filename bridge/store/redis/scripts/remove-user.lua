-- Forgets a user that is still at this revision.
--
-- KEYS[1] states  [2] deadlines  [3] dirty  [4] brokers
-- ARGV[1] user  [2] revision  [3] owner
-- Returns 1, or 0 when another writer was faster
local user = ARGV[1]
local old = redis.call('HGET', KEYS[1], user)
if not old then return 0 end
local revision, brokers = string.match(old, '^(%d+) %S+ %d+ (%S*)\n')
if revision ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], user)
redis.call('ZREM', KEYS[2], user)
redis.call('HDEL', KEYS[3], ARGV[3] .. user)
for broker in string.gmatch(brokers, '[^,]+') do
  local users = KEYS[4] .. ':' .. broker
  redis.call('SREM', users, user)
  if redis.call('EXISTS', users) == 0 then redis.call('SREM', KEYS[4], broker) end
end
return 1
