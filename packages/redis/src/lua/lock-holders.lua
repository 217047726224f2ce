-- Who holds permits of a key.
-- KEYS: holders, tokens
-- Returns for each: owner, token, ms until it ends.
--- @include now
local now = now_ms()
local held = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. whole(now), '+inf', 'WITHSCORES')
local answer = {}
for i = 1, #held, 2 do
  answer[#answer + 1] = held[i]
  answer[#answer + 1] = redis.call('HGET', KEYS[2], held[i])
  answer[#answer + 1] = math.ceil(held[i + 1] - now)
end
return answer
