-- Gives an owner a permit, if there is one, or the one that it has again.
-- KEYS: holders, tokens
-- ARGV: owner, how many permits there are, ms until it ends
-- Returns {1, token}; or {0, token, owner, ms} of the holder whose end makes room.
--- @include now
--- @include room
--- @include lock
local holders, tokens, owner = KEYS[1], KEYS[2], ARGV[1]
local permits = math.max(1, tonumber(ARGV[2]))
local now = now_ms()
end_permits(holders, tokens, now)
local ends = redis.call('ZSCORE', holders, owner)
local token = ends and tonumber(ends) > now and redis.call('HGET', tokens, owner)
if not token then
  local live = '(' .. whole(now)
  local count = redis.call('ZCOUNT', holders, live, '+inf')
  if count >= permits then
    -- As many must end as are too many by then, this owner included.
    local holder = redis.call('ZRANGEBYSCORE', holders, live, '+inf', 'WITHSCORES', 'LIMIT', whole(count - permits), 1)
    return { 0, redis.call('HGET', tokens, holder[1]), holder[1], math.ceil(holder[2] - now) }
  end
  local last = tonumber(redis.call('HGET', tokens, '') or '0')
  token = whole(math.max(last + 1, now_us()))
  redis.call('HSET', tokens, owner, token, '', token)
end
redis.call('ZADD', holders, whole(now + ARGV[3]), owner)
live_on(holders, tokens, now)
return { 1, token }
