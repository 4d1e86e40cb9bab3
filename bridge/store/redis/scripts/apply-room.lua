-- Tells a room what its members have become.
--
-- Guarantee: what a user became at a revision is applied once, and never after something later. Who has
-- left is remembered for as long as something earlier may be on its way, and what is older is refused.
--
-- KEYS[1] members, hash: user -> "revision place member"  [2] changes, hash: user -> member that was shown
-- KEYS[3] leaves, hash: user -> leave  [4] meta, hash  [5] gone, sorted set: user by revision
-- KEYS[6] dirty  [7] rooms  [8] empty  [9] activity
-- ARGV[1] room  [2] time for `empty`  [3] how long `gone` lasts, in milliseconds  [4] the most activity entries
-- ARGV[5...] user, revision, issued at, member or empty, leave or empty, activity or empty; repeated
-- Returns for each 1, or 0 when it was known already, or -1 when it comes too late
local room, lasts = ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local results, changed = {}, false
for i = 5, #ARGV, 6 do
  local user, revision, member, leave = ARGV[i], ARGV[i + 1], ARGV[i + 3], ARGV[i + 4]
  local entry = redis.call('HGET', KEYS[1], user)
  local known = entry and string.match(entry, '^%d+') or redis.call('ZSCORE', KEYS[5], user) or 0
  local result = 1
  if tonumber(known) >= tonumber(revision) then
    result = 0
  elseif now - ARGV[i + 2] > lasts / 2 then
    result = -1
  else
    changed = true
    local place, shown = '', ''
    if entry then place, shown = string.match(entry, '^%d+ (%d+) (.*)$') end
    redis.call('HSETNX', KEYS[2], user, shown)
    if member ~= '' then
      if not entry then place = redis.call('HINCRBY', KEYS[4], 'places', 1) end
      redis.call('HSET', KEYS[1], user, revision .. ' ' .. place .. ' ' .. member)
      redis.call('ZREM', KEYS[5], user)
    else
      redis.call('HDEL', KEYS[1], user)
      redis.call('HSET', KEYS[3], user, leave)
      redis.call('ZADD', KEYS[5], revision, user)
    end
    if ARGV[i + 5] ~= '' then
      redis.call('XADD', KEYS[9], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[i + 5])
    end
  end
  results[#results + 1] = result
end
if changed then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - lasts)
  redis.call('SADD', KEYS[7], room)
  redis.call('ZADD', KEYS[6], 'NX', now, room)
  if redis.call('HLEN', KEYS[1]) == 0 then
    redis.call('ZADD', KEYS[8], ARGV[2], room)
  else
    redis.call('ZREM', KEYS[8], room)
  end
end
return results
