-- Puts dead messages back into their queue, with no lost runner counted, and forgets the results of their tasks.
-- KEYS: ready (4), dead, messages of dead, ids, wake; then the key of the result of each task, where it is in this slot
-- ARGV: for each task: id, number of its list
-- Returns the ids that were dead.
--- @include message
--- @include room
--- @include wake
local redriven = {}
make_room(KEYS[8])
for at = 1, #ARGV, 2 do
  local id = ARGV[at]
  local stored = redis.call('HGET', KEYS[6], id)
  if stored then
    local _, colon, length = string.find(stored, '^(%d+):')
    local text = string.sub(stored, colon + 1 + tonumber(length))
    local accepted, runs, _, tail = open_message(text)
    if accepted then text = with_head(accepted, runs, 0, tail) end
    redis.call('LPUSH', KEYS[tonumber(ARGV[at + 1])], text)
    redis.call('SADD', KEYS[7], id)
    redis.call('ZREM', KEYS[5], id)
    redis.call('HDEL', KEYS[6], id)
    local result = KEYS[8 + (at + 1) / 2]
    if result then redis.call('DEL', result) end
    redriven[#redriven + 1] = id
  end
end
if #redriven > 0 then ring(KEYS[8]) end
return redriven
