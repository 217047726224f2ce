-- Permits of one key: `holders` is a sorted set, owner → when its permit ends (epoch milliseconds); `tokens` is a hash,
-- owner → its token, '' → the last one given. Both live a minute longer than the last permit, so that a clock that is
-- set back by less than that gives no token twice: a token is the time of the grant in microseconds, or one more than
-- the last one.
local AFTERLIFE_MS = 60000

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Takes away what has ended; at most so many, the rest does not count anyway. The first write must not need memory, so
-- that holders can let go of a server that is full.
local function end_permits(holders, tokens, now)
  local ended = redis.call('ZRANGEBYSCORE', holders, '-inf', whole(now), 'LIMIT', 0, 1000)
  make_room(holders)
  if #ended == 0 then return end
  redis.call('ZREM', holders, unpack(ended))
  redis.call('HDEL', tokens, unpack(ended))
end

local function is_held(holders, tokens, owner, token, now)
  local ends = redis.call('ZSCORE', holders, owner)
  return ends and tonumber(ends) > now and redis.call('HGET', tokens, owner) == token
end

local function live_on(holders, tokens, now)
  local last = redis.call('ZRANGE', holders, -1, -1, 'WITHSCORES')[2] or now
  local ms = whole(math.max(0, last - now) + AFTERLIFE_MS)
  redis.call('PEXPIRE', holders, ms)
  redis.call('PEXPIRE', tokens, ms)
end
