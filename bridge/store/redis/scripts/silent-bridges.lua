-- Which bridges have beaten once and do so no longer. One whose name another store bears by now is forgotten.
--
-- KEYS[1] names, hash: store → bridge  [2] beats, sorted set: stores by when they last heard
-- ARGV[1] for how long they have to be silent, in milliseconds
-- Returns store, bridge, store, bridge, …
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names = redis.call('HGETALL', KEYS[1])
local silent, isThere = {}, {}
for i = 1, #names, 2 do
  local beat = redis.call('ZSCORE', KEYS[2], names[i])
  if beat and tonumber(beat) >= now - ARGV[1] then
    isThere[names[i + 1]] = true
  else
    silent[#silent + 1] = i
  end
end
local found = {}
for _, i in ipairs(silent) do
  if isThere[names[i + 1]] then
    redis.call('HDEL', KEYS[1], names[i])
  else
    found[#found + 1] = names[i]
    found[#found + 1] = names[i + 1]
  end
end
return found
