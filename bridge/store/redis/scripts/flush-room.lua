-- Takes what has changed in a room since its last flush, and gives it a version.
--
-- Guarantee: while a store publishes a version no other one is given a later one, unless that store has
-- been silent for so long that it counts as dead; then the whole room is published again.
--
-- KEYS[1] members  [2] changes  [3] leaves  [4] meta  [5] flights, hash: version -> JSON of who it says left
-- KEYS[6] strays, set  [7] dirty
-- ARGV[1] room  [2] time for the version  [3] announce limit  [4] owner  [5] lease in milliseconds
-- ARGV[6] 1: what this store published last is unknown
-- Returns nothing to do: false; not now: {milliseconds}; or
-- {version, previous, size, whole, {user, before, after, leave, ...}, members as HGETALL or {}, strays}
local room, owner = ARGV[1], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local meta = redis.call('HMGET', KEYS[4], 'version', 'owner', 'until', 'unsure')
local previous, whole = meta[1] or '0', meta[4] == '1' or ARGV[6] == '1'
local foreign = meta[2] and meta[2] ~= owner and redis.call('HLEN', KEYS[5]) > 0
if foreign and now < tonumber(meta[3]) then return { meta[3] - now } end
if foreign or ARGV[6] == '1' then
  whole = true
  for _, gone in ipairs(redis.call('HVALS', KEYS[5])) do
    for _, user in ipairs(cjson.decode(gone)) do redis.call('SADD', KEYS[6], user) end
  end
  redis.call('DEL', KEYS[5])
end

local list, gone = {}, {}
local changes = redis.call('HGETALL', KEYS[2])
for i = 1, #changes, 2 do
  local user, before = changes[i], changes[i + 1]
  local entry = redis.call('HGET', KEYS[1], user)
  local after = entry and string.match(entry, '^%d+ %d+ (.*)$') or ''
  if before ~= after then
    local leave = after == '' and redis.call('HGET', KEYS[3], user) or ''
    if after == '' then gone[#gone + 1] = user end
    for _, part in ipairs({ user, before, after, leave }) do list[#list + 1] = part end
  end
end
redis.call('DEL', KEYS[2], KEYS[3])
if #list == 0 and not whole then
  if redis.call('HLEN', KEYS[5]) == 0 then redis.call('ZREM', KEYS[7], room) end
  return false
end
local strays = {}
for _, user in ipairs(redis.call('SMEMBERS', KEYS[6])) do
  if redis.call('HEXISTS', KEYS[1], user) == 0 then
    strays[#strays + 1] = user
    gone[#gone + 1] = user
  end
end
redis.call('DEL', KEYS[6])
local version = string.format('%.0f', math.max(previous + 1, tonumber(ARGV[2])))
redis.call('HSET', KEYS[4], 'version', version, 'owner', owner, 'until', now + ARGV[5], 'unsure', '0')
redis.call('HSET', KEYS[5], version, #gone == 0 and '[]' or cjson.encode(gone))
redis.call('ZADD', KEYS[7], now, room)
local size = redis.call('HLEN', KEYS[1])
local told = (whole or size <= tonumber(ARGV[3])) and redis.call('HGETALL', KEYS[1]) or {}
return { version, previous, size, whole and 1 or 0, list, told, strays }
