-- Prolongs a permit from now.
-- KEYS: holders, tokens
-- ARGV: owner, token, ms
-- Returns 1: done, 0: it had ended.
--- @include now
--- @include room
--- @include lock
local now = now_ms()
if not is_held(KEYS[1], KEYS[2], ARGV[1], ARGV[2], now) then return 0 end
make_room(KEYS[1])
redis.call('ZADD', KEYS[1], whole(now + ARGV[3]), ARGV[1])
live_on(KEYS[1], KEYS[2], now)
return 1
