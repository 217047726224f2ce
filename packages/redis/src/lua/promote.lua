-- Makes ready what has fallen due, and looks what is to come.
-- KEYS, for each queue: ready (4), suspects, delayed, messages of delayed, ids, state, wake
-- ARGV: most for all queues together; there are fewer long ones
-- Returns how many became ready, ms until the next one falls due or -1, how many are ready in queues that are not paused,
--   whether more may have fallen due.
--- @include now
--- @include room
--- @include wake
--- @include size
--- @include of-list
local PER_QUEUE = 10
local now = now_ms()
local left, size = tonumber(ARGV[1]), 0
local promoted, next_due, ready = 0, -1, 0

-- Messages of those that are due, as many as are not too long together, by the list that they go to; 0: the message is
-- gone.
local function read(messages, due)
  local found = {}
  local at = 0
  while at < #due and size < LARGEST_STEP do
    local last = math.min(at + STEP, #due)
    local texts = redis.call('HMGET', messages, unpack(due, at + 1, last))
    for i = 1, last - at do
      local text = texts[i] or '0'
      local list = tonumber(string.sub(text, 1, 1))
      local group = found[list] or { ids = {}, texts = {} }
      found[list] = group
      group.ids[#group.ids + 1] = due[at + i]
      group.texts[#group.texts + 1] = string.sub(text, 2)
      size = size + #text
    end
    at = last
  end
  return found
end

-- Answers whether all could be moved: where somebody else uses the name of a list, they stay.
local function move(key, due)
  local delayed, messages, ids, wake = KEYS[key + 6], KEYS[key + 7], KEYS[key + 8], KEYS[key + 10]
  local moved_all, moved = true, false
  make_room(wake)
  for list, group in pairs(read(messages, due)) do
    local is_there = list > 0
    local pushed = is_there and of_list(false, 'LPUSH', KEYS[key + list], unpack(group.texts))
    if is_there and not pushed then
      moved_all = false
    else
      if is_there then
        redis.call('SADD', ids, unpack(group.ids))
        moved = true
      end
      redis.call('ZREM', delayed, unpack(group.ids))
      redis.call('HDEL', messages, unpack(group.ids))
      left = left - #group.ids
      promoted = promoted + #group.ids
    end
  end
  if moved then ring(wake) end
  return moved_all
end

for key = 0, #KEYS - 1, PER_QUEUE do
  local delayed = KEYS[key + 6]
  local wants = left > 0 and size < LARGEST_STEP
  local due = wants and redis.call('ZRANGEBYSCORE', delayed, '-inf', whole(now), 'LIMIT', 0, left) or {}
  local is_stuck = #due > 0 and not move(key, due)
  -- What stays must not stand in the way of the other queues.
  if is_stuck then size = 0 end
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  if first and not is_stuck then
    local ms = math.max(0, math.ceil(first - now))
    if next_due < 0 or ms < next_due then next_due = ms end
  end
  if redis.call('HEXISTS', KEYS[key + 9], 'paused') == 0 then
    for list = 1, 5 do
      ready = ready + of_list(0, 'LLEN', KEYS[key + list])
    end
  end
end
local more = promoted > 0 and (left <= 0 or size >= LARGEST_STEP)
return { promoted, next_due, ready, more and 1 or 0 }
