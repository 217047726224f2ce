-- Gives a permit back.
-- KEYS: holders, tokens
-- ARGV: owner, token
-- Returns 1: done, 0: it had ended.
--- @include now
--- @include room
--- @include lock
local now = now_ms()
if not is_held(KEYS[1], KEYS[2], ARGV[1], ARGV[2], now) then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
live_on(KEYS[1], KEYS[2], now)
return 1
