-- Settles deliveries together with what rides with each: result records and follow-up messages. A delivery that was
-- lost is passed over with all of that.
-- KEYS, for each queue: ready (4), suspects, leased, ids, delayed, messages of delayed, dead, messages of dead, state,
--   wake; then the keys of the results in the order in which they come
-- ARGV: number of queues; then for each settlement: kind, queue, field, id, number of results, number of follow-ups,
--   and by kind
--     replace: queue, number of its list, due, the message without its opening brace
--     dead: the reason
--   then each result: rank, run, created, started, progress, expires, the rest of the record
--   then each follow-up: queue, number of its list, id, due, the message without its opening brace
-- Returns for each settlement 1: settled, 0: lost.
--- @include now
--- @include message
--- @include room
--- @include wake
--- @include give-back
--- @include publish
--- @include result
local PER_QUEUE = 13
local at = 2
local result_key = tonumber(ARGV[1]) * PER_QUEUE
local now = now_ms()
local outcomes = {}
local has_room = false

local function next_argument()
  at = at + 1
  return ARGV[at - 1]
end

local queues = {}
local function queue_keys(queue)
  if queues[queue] then return queues[queue] end
  local key = tonumber(queue) * PER_QUEUE
  queues[queue] = {
    acked = {},
    acked_ids = {},
    ends = {},
    ready = { KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4] },
    suspects = KEYS[key + 5],
    leased = KEYS[key + 6],
    ids = KEYS[key + 7],
    delayed = KEYS[key + 8],
    messages = KEYS[key + 9],
    dead = KEYS[key + 10],
    dead_messages = KEYS[key + 11],
    state = KEYS[key + 12],
    wake = KEYS[key + 13],
  }
  return queues[queue]
end

-- Together: a message that is acknowledged is gone last of all that belongs to it.
local function end_acked(keys)
  if #keys.acked == 0 then return end
  redis.call('HDEL', keys.leased, unpack(keys.acked))
  redis.call('SREM', keys.ids, unpack(keys.acked_ids))
  keys.acked, keys.acked_ids, keys.ends = {}, {}, {}
end

-- A message may bear the id of one that was acknowledged before it in this call: that one is gone by now.
local function make_way(keys, id)
  if keys.ends[id] then end_acked(keys) end
end

local function is_known(keys, id)
  return redis.call('SISMEMBER', keys.ids, id) == 1
    or redis.call('ZSCORE', keys.delayed, id)
    or redis.call('ZSCORE', keys.dead, id)
end

local function replace(keys, id, text, next_form)
  local target = queue_keys(next_form.queue)
  local accepted, runs = open_message(text)
  local due = due_at(next_form.due, now)
  make_way(target, id)
  place(target, now, {
    id = id,
    list = tonumber(next_form.list),
    due = due,
    text = with_head(accepted or '0', (runs or 0) + 1, 0, next_form.tail),
  })
  if due > now or target.ids ~= keys.ids then redis.call('SREM', keys.ids, id) end
end

local function bury(keys, id, text, reason)
  local accepted, runs, losses, tail = open_message(text)
  if accepted then text = with_head(accepted, runs + 1, losses, tail) end
  -- Each has an instant of its own, so that pages of them can go on where they ended.
  local died = math.max(now * 1000, tonumber(redis.call('HGET', keys.state, 'died') or '0') + 1)
  redis.call('HSET', keys.state, 'died', whole(died))
  redis.call('HSET', keys.dead_messages, id, #reason .. ':' .. reason .. text)
  redis.call('ZADD', keys.dead, whole(died), id)
  redis.call('SREM', keys.ids, id)
end

-- Reads them all before anything is written; a settlement that was lost leaves them out by not using them.
local function read_effects(results, follow_ups)
  local effects = { results = {}, follow_ups = {} }
  for i = 1, results do
    result_key = result_key + 1
    effects.results[i] = {
      key = KEYS[result_key],
      rank = tonumber(next_argument()),
      run = tonumber(next_argument()),
      created = next_argument(),
      started = next_argument(),
      progress = next_argument(),
      expires = next_argument(),
      tail = next_argument(),
    }
  end
  for i = 1, follow_ups do
    effects.follow_ups[i] = {
      queue = next_argument(),
      list = tonumber(next_argument()),
      id = next_argument(),
      due = next_argument(),
      tail = next_argument(),
    }
  end
  return effects
end

local function apply_effects(effects)
  for _, record in ipairs(effects.results) do
    put_result(record.key, record)
  end
  for _, message in ipairs(effects.follow_ups) do
    local keys = queue_keys(message.queue)
    make_way(keys, message.id)
    if not is_known(keys, message.id) then
      place(keys, now, {
        id = message.id,
        list = message.list,
        due = due_at(message.due, now),
        text = with_head(whole(now), 0, 0, message.tail),
      })
    end
  end
end

while at <= #ARGV do
  local kind, keys, field, id = next_argument(), queue_keys(next_argument()), next_argument(), next_argument()
  local results, follow_ups = tonumber(next_argument()), tonumber(next_argument())
  local next_form, reason
  if kind == 'replace' then
    next_form = { queue = next_argument(), list = next_argument(), due = next_argument(), tail = next_argument() }
  elseif kind == 'dead' then
    reason = next_argument()
  end
  local effects = read_effects(results, follow_ups)
  local text
  if kind == 'ack' then
    text = redis.call('HEXISTS', keys.leased, field) == 1
  else
    text = redis.call('HGET', keys.leased, field)
  end
  outcomes[#outcomes + 1] = text and 1 or 0
  if text then
    -- The first write of all; after it nothing is refused for want of memory.
    if not has_room then
      make_room(keys.wake)
      has_room = true
    end
    apply_effects(effects)
    if kind == 'ack' then
      keys.acked[#keys.acked + 1] = field
      keys.acked_ids[#keys.acked_ids + 1] = id
      keys.ends[id] = true
    elseif kind == 'release' then
      give_back(keys.leased, keys.suspects, keys.ready, field)
      ring(keys.wake)
    elseif kind == 'replace' then
      replace(keys, id, text, next_form)
    else
      bury(keys, id, text, reason)
    end
    if kind ~= 'ack' then redis.call('HDEL', keys.leased, field) end
  end
end
for _, keys in pairs(queues) do
  end_acked(keys)
end
return outcomes
