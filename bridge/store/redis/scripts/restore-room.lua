-- Takes over what readers were last shown of a room; who is known of already stays as it is.
--
-- KEYS[1] members  [2] meta  [3] rooms  [4] empty
-- ARGV[1] room  [2] version  [3] time for `empty`  [4...] user and member; repeated
-- Returns 1
local version = tonumber(redis.call('HGET', KEYS[2], 'version') or 0)
if tonumber(ARGV[2]) > version then redis.call('HSET', KEYS[2], 'version', ARGV[2]) end
for i = 4, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    local place = redis.call('HINCRBY', KEYS[2], 'places', 1)
    redis.call('HSET', KEYS[1], ARGV[i], '0 ' .. place .. ' ' .. ARGV[i + 1])
  end
end
redis.call('SADD', KEYS[3], ARGV[1])
if redis.call('HLEN', KEYS[1]) == 0 then
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
else
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return 1
