-- Stores a user's state if it is still at the revision that was loaded, and with it in one act its
-- deadline, its dirty mark, its place in the index by broker, what rooms have to be told, and its activity.
--
-- Guarantee: revisions of one user only grow, also after it was forgotten, since none is below the time.
--
-- KEYS[1] states, hash: user -> "revision owner run brokers\nheard\nstate"
-- KEYS[2] deadlines, sorted set
-- KEYS[3] dirty, hash: owner .. user -> "revision time"
-- KEYS[4] outbox, hash: JSON [user, room] -> "revision time\nmember\nleave\nactivity"
-- KEYS[5] activity, stream
-- KEYS[6] brokers, set; the set of a broker's users is KEYS[6] .. ":" .. broker
-- ARGV[1] user  [2] expected revision, 0: none  [3] owner, the store that writes
-- ARGV[4] brokers, separated by commas  [5] heard  [6] state
-- ARGV[7] deadline, empty: none  [8] 1: dirty  [9] the most activity entries
-- ARGV[10] n, the number of activity entries, then those, then a field and an operation for each room
-- Returns the new revision, or false when another writer was faster
local user, owner, brokers = ARGV[1], ARGV[3], ARGV[4]
local old = redis.call('HGET', KEYS[1], user)
local revision, oldOwner, run, oldBrokers = 0, '', '', ''
if old then
  revision, oldOwner, run, oldBrokers = string.match(old, '^(%d+) (%S+) (%d+) (%S*)\n')
end
if tonumber(revision) ~= tonumber(ARGV[2]) then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local next = string.format('%.0f', math.max(revision + 1, now))
if oldOwner ~= owner then run = next end

redis.call('HSET', KEYS[1], user,
  next .. ' ' .. owner .. ' ' .. run .. ' ' .. brokers .. '\n' .. ARGV[5] .. '\n' .. ARGV[6])
if ARGV[7] == '' then
  redis.call('ZREM', KEYS[2], user)
else
  redis.call('ZADD', KEYS[2], ARGV[7], user)
end
local mark = next .. ' ' .. string.format('%.0f', now)
if ARGV[8] == '1' then redis.call('HSET', KEYS[3], owner .. user, mark) end
if oldBrokers ~= brokers then
  for broker in string.gmatch(oldBrokers, '[^,]+') do
    local users = KEYS[6] .. ':' .. broker
    redis.call('SREM', users, user)
    if redis.call('EXISTS', users) == 0 then redis.call('SREM', KEYS[6], broker) end
  end
  for broker in string.gmatch(brokers, '[^,]+') do
    redis.call('SADD', KEYS[6] .. ':' .. broker, user)
    redis.call('SADD', KEYS[6], broker)
  end
end
local entries = tonumber(ARGV[10])
for i = 11, 10 + entries do
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[9], '*', 'e', ARGV[i])
end
for i = 11 + entries, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[i], mark .. '\n' .. ARGV[i + 1])
end
return next
