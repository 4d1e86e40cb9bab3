-- The deadlines have been moved: everybody may act on them again.
--
-- KEYS[1] pause
-- ARGV[1] bridge
-- Returns 1, or 0 when another bridge has taken that over
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
