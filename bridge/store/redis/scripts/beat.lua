-- A bridge says for how long it has heard, and learns for how long nobody has.
--
-- Guarantee: a time in which no bridge could hear is given to one bridge, to move all deadlines by; until
-- it has done so, or counts as dead, no other one acts on a deadline.
--
-- KEYS[1] beats, sorted set: stores by when they last heard  [2] pause, hash: owner, ms, until
-- [3] names, hash: store → bridge
-- ARGV[1] the bridge's store  [2] for how long it has heard without a break, in milliseconds; -1: it does not hear
-- ARGV[3] a gap that does not count, in milliseconds  [4] how long a bridge may take, in milliseconds
-- ARGV[5] when this was sent, empty: unknown  [6] how long it may have taken, in milliseconds
-- ARGV[7] the bridge's name
-- Returns {time, other bridges that hear, 1 when another one moves the deadlines, milliseconds to move them
-- by, 1 when this comes too late to count}
local me, heard = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
local others = redis.call('ZCOUNT', KEYS[1], now - 2000, '+inf')
local mine = redis.call('ZSCORE', KEYS[1], me)
if mine and tonumber(mine) >= now - 2000 then others = others - 1 end
if ARGV[5] ~= '' and now - ARGV[5] > tonumber(ARGV[6]) then return { now, others, 0, 0, 1 } end
local gap = 0
if heard >= 0 then
  if last then gap = math.max(0, now - heard - last) end
  redis.call('ZADD', KEYS[1], now, me)
  redis.call('HSET', KEYS[3], me, ARGV[7])
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -101)
end
if gap <= tonumber(ARGV[3]) then gap = 0 end
local pause = redis.call('HMGET', KEYS[2], 'owner', 'ms', 'until')
if pause[1] then
  if pause[1] ~= me and now < tonumber(pause[3]) then
    return { now, others, 1, 0, 0 }
  end
  gap = math.max(gap, tonumber(pause[2]))
end
if heard < 0 then return { now, others, pause[1] and 1 or 0, 0, 0 } end
if gap > 0 then
  redis.call('HSET', KEYS[2], 'owner', me, 'ms', gap, 'until', now + ARGV[4])
end
return { now, others, 0, gap, 0 }
