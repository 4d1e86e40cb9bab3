-- Rooms have been told: clears what waited for them, unless the user has changed there since.
--
-- KEYS[1] outbox
-- ARGV a field and its revision for each
-- Returns how many were cleared
local cleared = 0
for i = 1, #ARGV, 2 do
  local value = redis.call('HGET', KEYS[1], ARGV[i])
  if value and string.match(value, '^%d+') == ARGV[i + 1] then
    cleared = cleared + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return cleared
