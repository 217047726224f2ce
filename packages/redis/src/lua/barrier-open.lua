-- Opens a barrier, unless it is open. A barrier is a hash: '@size', '@ttl', '@body', '@last' (the member that completed
-- it), and ':<member>' for each member that has arrived.
-- KEYS: barrier
-- ARGV: size, ms that it is kept after each arrival, body
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], '@size', ARGV[1], '@ttl', ARGV[2], '@body', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
