-- Prolongs a consumer's leases from now.
-- KEYS, for each queue: leased, consumers, wake
-- ARGV: consumer, lease in ms; then for each queue: how many fields are asked for, the fields
-- Returns for each queue -1: the consumer is not registered there, else for each field whether it is still leased.
--- @include now
--- @include room
local until_ms = whole(now_ms() + ARGV[2])
local at = 3
local answers = {}
for key = 1, #KEYS, 3 do
  local count = tonumber(ARGV[at] or '0')
  if redis.call('HEXISTS', KEYS[key], '@') == 0 then
    answers[#answers + 1] = -1
  else
    make_room(KEYS[key + 2])
    redis.call('ZADD', KEYS[key + 1], until_ms, ARGV[1])
    local held = {}
    for i = 1, count do
      held[i] = redis.call('HEXISTS', KEYS[key], ARGV[at + i])
    end
    answers[#answers + 1] = held
  end
  at = at + 1 + count
end
return answers
