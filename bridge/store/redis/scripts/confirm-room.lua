-- A version of a room was published: clears the mark if nothing has changed since.
--
-- KEYS[1] changes  [2] meta  [3] flights  [4] dirty
-- ARGV[1] room  [2] version
-- Returns 1; 0 when another store took this store for dead and has published the room since
if redis.call('HDEL', KEYS[3], ARGV[2]) == 0 then
  local version = redis.call('HGET', KEYS[2], 'version')
  if version and version ~= ARGV[2] then return 0 end
end
local meta = redis.call('HMGET', KEYS[2], 'version', 'unsure')
local current = not meta[1] or (meta[1] == ARGV[2] and meta[2] ~= '1')
if current and redis.call('HLEN', KEYS[1]) == 0 then redis.call('ZREM', KEYS[4], ARGV[1]) end
return 1
