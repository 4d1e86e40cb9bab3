-- A broker claims a client id for a connection.
--
-- Guarantee: in all brokers together a client id that is in use, or whose session is kept, belongs to one
-- user; and of two connections with one client id each learns of the other.
--
-- KEYS[1] clients  [2] brokers  [3] head  [4] sessions
-- ARGV[1] client id  [2] broker  [3] connection  [4] user, '' when it is not known  [5] until when the broker
-- waits, in milliseconds of Redis' clock: later nobody uses the answer, and a claim would only be in the way
-- Returns {'late'}, {'refused'}; or {'granted', the number of the claim, broker that had it before or '', since how
-- many milliseconds that one is silent, -1: it is not there, 1 when there is a session}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[5]) then return { 'late' } end
local before = redis.call('HGET', KEYS[1], ARGV[1])
local previous, silence = '', -1
if before then
  local entry = cjson.decode(before)
  local isTaken
  if entry.untilMs then
    isTaken = entry.untilMs > now
  else
    -- A broker that has died is taken out of the list.
    isTaken = redis.call('ZSCORE', KEYS[2], entry.broker)
  end
  if isTaken and entry.user ~= ARGV[4] then return { 'refused' } end
  previous = entry.broker
  local beat = redis.call('ZSCORE', KEYS[2], previous)
  if beat then silence = now - beat end
end
-- Grows even if Redis has lost the last one.
local last = tonumber(redis.call('HGET', KEYS[3], 'claims') or '0')
local number = math.max(last + 1, time[1] * 1000000 + time[2])
local text = string.format('%.0f', number)
redis.call('HSET', KEYS[3], 'claims', text)
local entry = { broker = ARGV[2], connection = ARGV[3], user = ARGV[4], number = text }
-- For who does not get this answer, and asks again.
if previous ~= '' and previous ~= ARGV[2] then entry.from = previous end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(entry))
return { 'granted', number, previous, silence, redis.call('SISMEMBER', KEYS[4], ARGV[1]) }
