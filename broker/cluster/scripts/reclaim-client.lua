-- A broker says what it has claimed: Redis did not answer then, or may have lost it.
--
-- Guarantee: of two brokers' claims the later one stays, in whatever order they are said; and what others have
-- taken over from a broker that was frozen, it does not take back.
--
-- KEYS[1] clients  [2] brokers  [3] head
-- ARGV[1] client id  [2] broker  [3] connection  [4] user, '' when it is not known  [5] the number of the claim
-- [6] until when the session of an absent client is kept, in milliseconds, '' when it is there  [7] how often it was
-- taken over since the claim
-- Returns {'refused'}: it is somebody else's; {'older'}: there is a later claim; or {'granted', broker that had it
-- before or '', since how many milliseconds that one is silent, -1: it is not there}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local number, heirs, previous = ARGV[5], tonumber(ARGV[7]), ''
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then
  local entry = cjson.decode(before)
  if entry.broker == ARGV[2] then
    -- It was claimed, and the answer came too late; or the claim was given back to who had it there before.
    previous = entry.from or ''
    if tonumber(entry.number or 0) > tonumber(number) then number = entry.number end
  else
    local ahead = tonumber(entry.number or 0) - tonumber(number)
    if ahead > 0 or (ahead == 0 and (entry.heirs or 0) > heirs) then return { 'older' } end
    local isTaken
    if entry.untilMs then
      isTaken = entry.untilMs > now
    else
      isTaken = redis.call('ZSCORE', KEYS[2], entry.broker)
    end
    if isTaken and entry.user ~= ARGV[4] then return { 'refused' } end
    previous = entry.broker
  end
end
local silence = -1
local beat = previous ~= '' and redis.call('ZSCORE', KEYS[2], previous)
if beat then silence = now - beat end
local entry = { broker = ARGV[2], connection = ARGV[3], user = ARGV[4], number = number }
if ARGV[6] ~= '' then entry.untilMs = tonumber(ARGV[6]) end
if heirs > 0 then entry.heirs = heirs end
if previous ~= '' and previous ~= ARGV[2] then entry.from = previous end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(entry))
local last = tonumber(redis.call('HGET', KEYS[3], 'claims') or '0')
if tonumber(number) > last then redis.call('HSET', KEYS[3], 'claims', number) end
return { 'granted', previous, silence }
