-- Puts leased messages back as if they had never been taken, apart from the delivery that is counted: to the right end
-- of their lists, newest first, so that the oldest is taken next. `lists` holds the four lists of ready messages.
local function by_number_descending(a, b)
  return tonumber(string.match(a, '%d+$')) > tonumber(string.match(b, '%d+$'))
end

local function give_back(leased, suspects, lists, field)
  local text = redis.call('HGET', leased, field)
  local accepted, runs, losses, tail = open_message(text)
  local list = lists[tonumber(string.sub(field, 1, 1))]
  if accepted then
    text = with_head(accepted, runs + 1, losses, tail)
    if losses > 0 then list = nil end
  end
  redis.call('RPUSH', list or suspects, text)
  redis.call('HDEL', leased, field)
end
