-- Remembers revocations in the order in which they become visible, and forgets some that have expired.
-- KEYS: log, expiry
-- ARGV: for each: text, when it may be forgotten (epoch milliseconds)
--- @include now
local now = now_ms()
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(now), 'LIMIT', 0, 200)
if #expired > 0 then
  redis.call('ZREM', KEYS[1], unpack(expired))
  redis.call('ZREM', KEYS[2], unpack(expired))
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or '0'
local position = math.max(now * 1000, tonumber(last))
for at = 1, #ARGV, 2 do
  position = position + 1
  local member = whole(position) .. ' ' .. ARGV[at]
  redis.call('ZADD', KEYS[1], whole(position), member)
  redis.call('ZADD', KEYS[2], ARGV[at + 1], member)
end
return 1
