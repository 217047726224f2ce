-- Puts new messages into one list of a queue. A task id that is ready, leased, delayed or dead there already is passed
-- over.
-- KEYS: the list, ids, delayed, dead, wake
-- ARGV: the ids, then as many messages
-- Returns 0 when all are new, else for each message whether it was known.
--- @include wake
local count = #ARGV / 2
local is_simple = redis.call('EXISTS', KEYS[3], KEYS[4]) == 0

-- By far the most frequent case, in as few steps as it can be.
if count == 1 and is_simple then
  if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return { 1 } end
  local pushed = redis.pcall('LPUSH', KEYS[1], ARGV[2])
  if type(pushed) == 'table' then
    redis.call('SREM', KEYS[2], ARGV[1])
    return pushed
  end
  ring(KEYS[5])
  return 0
end

local known = redis.call('SMISMEMBER', KEYS[2], unpack(ARGV, 1, count))
if not is_simple then
  for key = 3, 4 do
    local scores = redis.call('ZMSCORE', KEYS[key], unpack(ARGV, 1, count))
    for i = 1, count do
      if scores[i] then known[i] = 1 end
    end
  end
end
local ids, texts = {}, {}
for i = 1, count do
  if known[i] == 0 then
    ids[#ids + 1] = ARGV[i]
    texts[#texts + 1] = ARGV[count + i]
  end
end
if #ids == 0 then return known end
redis.call('LPUSH', KEYS[1], unpack(texts))
redis.call('SADD', KEYS[2], unpack(ids))
ring(KEYS[5])
if #ids == count then return 0 end
return known
