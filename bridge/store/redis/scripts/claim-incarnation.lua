-- Tells whether Redis still has the data that bridges left in it, and lets one bridge make good what it lacks.
--
-- KEYS[1] incarnation, hash: id, claimed by, until
-- ARGV[1] what Redis is now  [2] bridge  [3] how long it may take, in milliseconds
-- ARGV[4] 1: it has been made good
-- Returns 0: the data is whole; 1: this bridge has to make it good; 2: another one is at it
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[4] == '1' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', ARGV[1])
  return 0
end
local known = redis.call('HMGET', KEYS[1], 'id', 'by', 'until')
if known[1] == ARGV[1] then return 0 end
if known[2] and known[2] ~= ARGV[2] and now < tonumber(known[3]) then return 2 end
redis.call('HSET', KEYS[1], 'by', ARGV[2], 'until', now + ARGV[3])
return 1
