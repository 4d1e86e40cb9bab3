-- Forgets rooms that have been empty for long and of which everything was published.
--
-- KEYS[1] dirty  [2] rooms  [3] empty; the keys of a room are ARGV[3] .. part .. ":" .. room, in this slot
-- ARGV[1] empty since before this time  [2] the most rooms  [3] the prefix  [4...] the parts of a room
-- Returns {room, its version} of each
local taken = {}
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[1])) do
  if #taken >= tonumber(ARGV[2]) then break end
  if not redis.call('ZSCORE', KEYS[1], room) then
    local version = redis.call('HGET', ARGV[3] .. 'meta:' .. room, 'version')
    taken[#taken + 1] = { room, version or '0' }
    for i = 4, #ARGV do redis.call('DEL', ARGV[3] .. ARGV[i] .. ':' .. room) end
    redis.call('SREM', KEYS[2], room)
    redis.call('ZREM', KEYS[3], room)
  end
end
return taken
