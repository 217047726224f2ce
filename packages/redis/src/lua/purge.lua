-- Deletes what is ready or delayed in a queue. At most so many at a time, and fewer long ones; the caller goes on while
-- there is more.
-- KEYS: ready (4), suspects, delayed, messages of delayed, ids
-- ARGV: most
-- Returns how many were deleted, and whether there may be more.
--- @include task-id
--- @include size
local most = tonumber(ARGV[1])
local deleted, size = 0, 0
local function is_full()
  return deleted >= most or size >= LARGEST_STEP
end

for list = 1, 5 do
  while not is_full() do
    local texts = redis.call('RPOP', KEYS[list], math.min(STEP, most - deleted))
    if not texts then break end
    local ids = {}
    for _, text in ipairs(texts) do
      ids[#ids + 1] = task_id_of(text)
    end
    if #ids > 0 then redis.call('SREM', KEYS[8], unpack(ids)) end
    deleted = deleted + #texts
    size = size + size_of(texts)
  end
end
local ids = is_full() and {} or redis.call('ZRANGE', KEYS[6], 0, most - deleted - 1)
if #ids > 0 then
  redis.call('ZREM', KEYS[6], unpack(ids))
  redis.call('HDEL', KEYS[7], unpack(ids))
  deleted = deleted + #ids
end
return { deleted, is_full() and 1 or 0 }
