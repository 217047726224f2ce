-- Acknowledges what has ended, and leases what is wanted to the consumer.
-- KEYS, for each queue: ready (4), suspects, leased, consumers, ids, state, delayed, wake
-- ARGV: consumer, lease in ms, wanted, suspects allowed (0 or 1), first number to use, numbers of the lists in the order in
--   which they are taken, as one text; then for each queue: how many end there, their fields, their ids
-- Returns {0: done, 1: the consumer is not registered, 2: the number was used before}, ms until the next one falls due
--   or -1, {queue, position, …} of what had been lost, {queue, list (0: suspects), {messages}, …}.
--- @include now
--- @include room
--- @include wake
local PER_QUEUE = 11
local queues = #KEYS / PER_QUEUE
local want, suspects, number = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local lost = {}
local ended = 0
local at = 7
for queue = 0, queues - 1 do
  local key = queue * PER_QUEUE
  local count = tonumber(ARGV[at])
  -- What a registered consumer holds is there: nobody else takes anything away before `@` (recover.lua), and what it may
  -- have settled before it does not settle here. So they all go at once; if some were not there, none is said to be settled.
  local known = count > 0 and redis.call('HEXISTS', KEYS[key + 6], '@') == 1
  local gone = known and redis.call('HDEL', KEYS[key + 6], unpack(ARGV, at + 1, at + count)) or 0
  if count > 0 and gone == count then redis.call('SREM', KEYS[key + 8], unpack(ARGV, at + count + 1, at + 2 * count)) end
  for i = 1, gone < count and count or 0 do
    if not known and redis.call('HDEL', KEYS[key + 6], ARGV[at + i]) == 1 then
      redis.call('SREM', KEYS[key + 8], ARGV[at + count + i])
    else
      lost[#lost + 1] = queue
      lost[#lost + 1] = i - 1
    end
  end
  at = at + 1 + 2 * count
  ended = ended + count
end
if want == 0 then return { 0, -1, lost, {} } end

for queue = 0, queues - 1 do
  local floor = redis.call('HGET', KEYS[queue * PER_QUEUE + 6], '@')
  if not floor then return { 1, -1, lost, {} } end
  if tonumber(floor) > number then return { 2, -1, lost, {} } end
end

local now = now_ms()
local next_due = -1
local claimed = {}
local problem
for queue = 0, queues - 1 do
  local key = queue * PER_QUEUE
  local taken = {}
  local function take(list, texts)
    for i = 1, #texts do
      taken[#taken + 1] = list .. '.' .. whole(number)
      taken[#taken + 1] = texts[i]
      number = number + 1
    end
    want = want - #texts
    claimed[#claimed + 1] = queue
    claimed[#claimed + 1] = list
    claimed[#claimed + 1] = texts
  end
  make_room(KEYS[key + 11])
  if redis.call('HEXISTS', KEYS[key + 9], 'paused') == 0 then
    if want > 0 and suspects > 0 then
      local text = redis.call('RPOP', KEYS[key + 5])
      if text then
        suspects = 0
        take(0, { text })
        -- The next one is for somebody else.
        if redis.call('EXISTS', KEYS[key + 5]) == 1 then ring(KEYS[key + 11]) end
      end
    end
    for position = 1, 4 do
      local list = string.byte(ARGV[6], position) - 48
      local texts = want > 0 and redis.pcall('RPOP', KEYS[key + list], want)
      -- No list: somebody else uses the name. What was taken before must not go with it.
      if texts and texts.err then
        problem = texts
      elseif texts then
        take(list, texts)
      end
    end
    -- Also of a queue that was not come to: its marker may be what woke this consumer.
    if want == 0 and redis.call('EXISTS', unpack(KEYS, key + 1, key + 5)) > 0 then ring(KEYS[key + 11]) end
  end
  if #taken > 0 then redis.call('HSET', KEYS[key + 6], '@', whole(number), unpack(taken)) end
  redis.call('ZADD', KEYS[key + 7], whole(now + ARGV[2]), ARGV[1])
  local due = redis.call('ZRANGE', KEYS[key + 10], 0, 0, 'WITHSCORES')[2]
  if due then
    local ms = math.max(0, math.ceil(due - now))
    if next_due < 0 or ms < next_due then next_due = ms end
  end
end
-- Where there is something to answer, that goes first.
if problem and #claimed + ended == 0 then return problem end
return { 0, next_due, lost, claimed }
