-- Takes messages that wait out of a queue, by task id, and records their tasks REVOKED in the same step. The delayed are
-- found by id; of the ready a stretch of each list is looked through, counted from the end that is taken next.
-- KEYS: ready (4), suspects, delayed, messages of delayed, ids, wake; then for each task the key of its result
-- ARGV: first of the stretch, its length (less, where messages are long); then for each task: id, rank of the record or '' (no record), expires, the rest
--   of the record up to the name and from there on
-- Returns {the ids that were taken out, where the next stretch begins, or -1: that was all}.
--- @include now
--- @include message
--- @include room
--- @include result
--- @include task-id
--- @include size
--- @include of-list
local FIELDS = 5
local from, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local wanted = {}
local removed = {}

local function record(task, text)
  removed[#removed + 1] = task.id
  redis.call('SREM', KEYS[8], task.id)
  local headers = headers_of(text) or {}
  if task.rank == nil or headers.ignore_result == true then return end
  local accepted, runs = open_message(text)
  put_result(task.key, {
    rank = task.rank,
    run = runs or 0,
    created = (accepted == nil or accepted == '0') and 'null' or accepted,
    started = 'null',
    progress = '',
    expires = task.expires,
    tail = task.before .. cjson.encode(tostring(headers.task or '')) .. task.after,
  })
end

make_room(KEYS[9])
for at = 3, #ARGV, FIELDS do
  local task = {
    key = KEYS[9 + (at - 3) / FIELDS + 1],
    id = ARGV[at],
    rank = tonumber(ARGV[at + 1]),
    expires = ARGV[at + 2],
    before = ARGV[at + 3],
    after = ARGV[at + 4],
  }
  local text = redis.call('HGET', KEYS[7], task.id)
  if text then
    record(task, string.sub(text, 2))
    redis.call('ZREM', KEYS[6], task.id)
    redis.call('HDEL', KEYS[7], task.id)
  else
    wanted[#wanted + 1] = task
  end
end

-- Takes the wanted out of some texts of a list. Answers how many those were.
local function take_out(list, texts)
  local count = 0
  for _, text in ipairs(texts) do
    for i = #wanted, 1, -1 do
      local task = wanted[i]
      if string.find(text, task.id, 1, true) and task_id_of(text) == task.id then
        record(task, text)
        redis.call('LREM', list, -1, text)
        table.remove(wanted, i)
        count = count + 1
      end
    end
  end
  return count
end

local at, size = from, 0
local open = { 1, 2, 3, 4, 5 }
while #open > 0 and #wanted > 0 and at < from + length and size < LARGEST_STEP do
  local longer, moved = {}, 0
  for _, list in ipairs(open) do
    local texts = of_list({}, 'LRANGE', KEYS[list], -(at + STEP), -(at + 1))
    if #texts == STEP then longer[#longer + 1] = list end
    size = size + size_of(texts)
    moved = math.max(moved, take_out(KEYS[list], texts))
  end
  open = longer
  -- What was behind the ones that were taken out has come nearer.
  at = at + STEP - moved
end
return { removed, #wanted > 0 and #open > 0 and at or -1 }
