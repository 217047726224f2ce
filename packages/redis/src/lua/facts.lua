-- How many messages of a queue are in each state.
-- KEYS: ready (4), suspects, delayed, consumers, dead, state
-- ARGV: what the keys of leases begin with
-- Returns ready, delayed, leased, dead, paused, age of the oldest ready one in ms or -1 (not known or none).
--- @include now
--- @include message
--- @include of-list
local now = now_ms()
local ready, oldest = 0, -1
for list = 1, 5 do
  local length = of_list(0, 'LLEN', KEYS[list])
  if length > 0 then
    ready = ready + length
    local accepted = tonumber((open_message(redis.call('LINDEX', KEYS[list], -1))) or '0')
    if accepted > 0 and now - accepted > oldest then oldest = math.max(0, now - accepted) end
  end
end
local leased = 0
for _, consumer in ipairs(redis.call('ZRANGE', KEYS[7], 0, -1)) do
  leased = leased + redis.call('HLEN', ARGV[1] .. consumer) - redis.call('HEXISTS', ARGV[1] .. consumer, '@')
end
-- What has fallen due counts as ready, though nobody has moved it yet.
local due = redis.call('ZCOUNT', KEYS[6], '-inf', whole(now))
local delayed = redis.call('ZCARD', KEYS[6]) - due
return { ready + due, delayed, leased, redis.call('ZCARD', KEYS[8]), redis.call('HEXISTS', KEYS[9], 'paused'), oldest }
