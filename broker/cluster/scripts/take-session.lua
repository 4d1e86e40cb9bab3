-- Takes a session, from whoever had it: from now on this broker writes it, and nobody else.
--
-- KEYS[1] session
-- ARGV[1] broker
-- Returns its fields and values in turn; nothing when there is none
if redis.call('HEXISTS', KEYS[1], 'k') == 1 then redis.call('HSET', KEYS[1], 'o', ARGV[1]) end
return redis.call('HGETALL', KEYS[1])
