-- Marks a room of which it is unknown what was published last. What another store is publishing at this
-- moment stays its own affair.
--
-- KEYS[1] members  [2] meta  [3] flights  [4] strays  [5] dirty  [6] rooms  [7] empty
-- ARGV[1] room  [2] owner  [3] time for `empty`  [4...] users whose topics may still be there
-- Returns 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local meta = redis.call('HMGET', KEYS[2], 'owner', 'until')
for i = 4, #ARGV do redis.call('SADD', KEYS[4], ARGV[i]) end
if meta[1] == ARGV[2] or now >= tonumber(meta[2] or 0) then
  for _, gone in ipairs(redis.call('HVALS', KEYS[3])) do
    for _, user in ipairs(cjson.decode(gone)) do redis.call('SADD', KEYS[4], user) end
  end
  redis.call('DEL', KEYS[3])
end
redis.call('HSET', KEYS[2], 'unsure', '1')
redis.call('SADD', KEYS[6], ARGV[1])
redis.call('ZADD', KEYS[5], 'NX', now, ARGV[1])
if redis.call('HLEN', KEYS[1]) == 0 then redis.call('ZADD', KEYS[7], 'NX', ARGV[3], ARGV[1]) end
return 1
