-- A connection that had claimed its client id is over.
--
-- Guarantee: a later claim, of whatever broker, stays.
--
-- KEYS[1] clients  [2] session  [3] sessions
-- ARGV[1] client id  [2] broker  [3] connection; '' when its session is not kept  [4] the number up to which this
-- broker's claims are over when its session is not kept  [5] for how many milliseconds it is kept; 0: not
-- Returns 1 when the client id was still this connection's, or this broker's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGET', KEYS[1], ARGV[1])
if not before then return 0 end
local entry = cjson.decode(before)
if entry.broker ~= ARGV[2] then return 0 end
if ARGV[5] == '0' then
  if tonumber(entry.number or 0) > tonumber(ARGV[4]) then return 0 end
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[3], ARGV[1])
else
  if entry.connection ~= ARGV[3] then return 0 end
  entry.untilMs = now + ARGV[5]
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(entry))
end
return 1
