-- Finds consumers whose leases have run out.
-- KEYS: consumers
-- ARGV: most
-- Returns the consumers.
--- @include now
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now_ms()), 'LIMIT', 0, ARGV[1])
