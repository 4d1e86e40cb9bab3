-- Takes over the client id of a broker that has died: its session, if it has one.
--
-- Guarantee: who has come back by another broker keeps what is his; and who asks again, because the answer was
-- lost, is told the same.
--
-- KEYS[1] clients  [2] sessions
-- ARGV[1] client id  [2] the broker that has died  [3] the one that takes over  [4] for how many
-- milliseconds the session of a client is kept that was there until its broker died
-- Returns {user, for how many milliseconds, its last connection, the number of that one's claim, how often it was
-- taken over since} or false when there is nothing to take over
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGET', KEYS[1], ARGV[1])
if not before then return false end
local entry = cjson.decode(before)
if entry.broker ~= ARGV[2] and (entry.broker ~= ARGV[3] or entry.adopted ~= ARGV[2]) then return false end
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return false
end
if entry.broker ~= ARGV[3] then entry.heirs = (entry.heirs or 0) + 1 end
entry.broker, entry.adopted = ARGV[3], ARGV[2]
entry.untilMs = entry.untilMs or now + ARGV[4]
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(entry))
return { entry.user, entry.untilMs - now, entry.connection, entry.number or '0', entry.heirs or 0 }
