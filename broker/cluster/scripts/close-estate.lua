-- What a broker left behind is dealt with.
--
-- Guarantee: it stays while another broker is its heir, or wills are left.
--
-- KEYS[1] estates  [2] wills that it left behind  [3] positions  [4] brokers
-- ARGV[1] the broker that is gone  [2] the heir
-- Returns 1 when nothing is left.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
-- It may have come back.
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then redis.call('HDEL', KEYS[3], ARGV[1]) end
return 1
