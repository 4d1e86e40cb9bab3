-- A user was published as it was at a revision: clears the marks if it still is at it.
--
-- Guarantee: whoever published last of all has looked afterwards, and seen that it was the newest. A
-- mark belongs to the store that set it, so that it outlives what another store publishes meanwhile.
--
-- KEYS[1] states  [2] dirty
-- ARGV[1] user  [2] revision, 0: it was forgotten  [3] owner
-- ARGV[4...] a field and its value for each mark that another store left behind
-- Returns 1; 0 when another store has written since, so that what readers have last is unknown
local old = redis.call('HGET', KEYS[1], ARGV[1])
local revision, owner, run = '0', '', '0'
if old then revision, owner, run = string.match(old, '^(%d+) (%S+) (%d+)') end
if revision ~= ARGV[2] then
  -- Only this store has written since: what others see of that it publishes too, and in this order.
  if owner ~= ARGV[3] or tonumber(run) > tonumber(ARGV[2]) then return 0 end
  local mark = redis.call('HGET', KEYS[2], ARGV[3] .. ARGV[1])
  if mark and tonumber(string.match(mark, '^%d+')) <= tonumber(ARGV[2]) then
    redis.call('HDEL', KEYS[2], ARGV[3] .. ARGV[1])
  end
  return 1
end
redis.call('HDEL', KEYS[2], ARGV[3] .. ARGV[1])
for i = 4, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[2], ARGV[i]) end
end
return 1
