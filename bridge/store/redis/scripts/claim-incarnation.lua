-- Tells whether Redis still has the data that bridges left in it, and lets one bridge make good what it lacks.
--
-- Guarantee: data counts as whole only if it was made good by the bridge that has it to do, in this very Redis.
--
-- KEYS[1] incarnation, hash: id, which data this is, claimed by, until
-- ARGV[1] what Redis is now  [2] bridge  [3] how long it may be silent, in milliseconds
-- ARGV[4] 'look'; 'claim': look, and claim; 'renew' the claim; 'done': it has been made good; 'leave': it could not be
-- ARGV[5] a word for the data that was made good
-- Returns {0: the data is whole; 1: this bridge has to make it good; 2: another one has to, the data's word or ''}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'id', 'data', 'by', 'until')
local id, data, by, limit = known[1], known[2], known[3], known[4]
if ARGV[4] == 'done' then
  if by ~= ARGV[2] then return { 2, '' } end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'data', ARGV[5])
  return { 0, ARGV[5] }
end
if ARGV[4] == 'leave' then
  if by == ARGV[2] then redis.call('HDEL', KEYS[1], 'by', 'until') end
  return { 2, '' }
end
if ARGV[4] == 'renew' then
  if by == ARGV[2] then redis.call('HSET', KEYS[1], 'until', now + ARGV[3]) end
  return { 2, '' }
end
if id == ARGV[1] then return { 0, data } end
local isOurs = not by or by == ARGV[2] or now >= tonumber(limit)
if ARGV[4] == 'look' or not isOurs then return { 2, '' } end
redis.call('HSET', KEYS[1], 'by', ARGV[2], 'until', now + ARGV[3])
return { 1, '' }
