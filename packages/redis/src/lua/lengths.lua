-- How many messages are ready, for a reader whom Redis then tells of the next change.
-- KEYS, for each queue: ready (4)
-- Returns for each queue the lengths of its lists added up.
--- @include of-list
local answers = {}
for key = 0, #KEYS - 1, 4 do
  local ready = 0
  for list = 1, 4 do
    ready = ready + of_list(0, 'LLEN', KEYS[key + list])
  end
  answers[#answers + 1] = ready
end
return answers
