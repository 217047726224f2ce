-- Makes a consumer known in a queue, so that it may claim.
-- KEYS: leased, consumers, wake
-- ARGV: consumer, lease in ms, lowest number that its claims may use
-- Returns 1; or 0 while what it held before is being taken away from it: nobody would ever end what was left behind.
--- @include now
--- @include room
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[1], '@') == 0 then return 0 end
make_room(KEYS[3])
redis.call('HSET', KEYS[1], '@', ARGV[3])
redis.call('ZADD', KEYS[2], whole(now_ms() + ARGV[2]), ARGV[1])
return 1
