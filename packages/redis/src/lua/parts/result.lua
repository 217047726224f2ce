-- The states of a Python writer, which gives no rank; his own states count as progress.
local RANKS = { PENDING = 0, RECEIVED = 1, STARTED = 2, RETRY = 4, SUCCESS = 5, FAILURE = 5, REVOKED = 5, REJECTED = 5, IGNORED = 5 }
local TERMINAL = 5
local RESULT_HEAD = '^{"taskqueue":%[(%d+),(%d+),([^,]+),([^,]+),(%d+)%],'
local PROGRESS = '"progress":'

-- What is stored: rank, run, created, started, progress (both JSON).
local function open_result(text)
  local from, to, rank, run, created, started, length = string.find(text, RESULT_HEAD)
  if from then
    local start = to + 1 + #PROGRESS
    return tonumber(rank), tonumber(run), created, started, string.sub(text, start, start + tonumber(length) - 1)
  end
  local ok, meta = pcall(cjson.decode, text)
  local status = ok and type(meta) == 'table' and meta.status
  return type(status) == 'string' and (RANKS[status] or 3) or 0, 0, 'null', 'null', ''
end

-- Writes a record where states may only advance, and tells who waits. 1: stored; 0: superseded.
-- `record`: rank, run, created, started ('null': nothing said), progress (''), expires (''), tail.
local function put_result(key, record)
  local current = redis.call('GET', key)
  local created, started, progress = record.created, record.started, record.progress
  if current then
    local rank, run, first_created, first_started, last_progress = open_result(current)
    if rank == TERMINAL or run > record.run or (run == record.run and rank > record.rank) then return 0 end
    if created == 'null' then created = first_created end
    if started == 'null' then started = first_started end
    if progress == '' then progress = last_progress end
  end
  local head = '{"taskqueue":[' .. record.rank .. ',' .. record.run .. ',' .. created .. ',' .. started .. ',' .. #progress .. ']'
  if progress ~= '' then head = head .. ',' .. PROGRESS .. progress end
  local text = head .. record.tail
  if record.expires == '' then
    redis.call('SET', key, text)
  else
    redis.call('SET', key, text, 'PXAT', record.expires)
  end
  redis.call('PUBLISH', key, text)
  return 1
end
