-- What a command on a list answers; `otherwise` where somebody else uses the name of the list for something else.
local function of_list(otherwise, ...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if not string.find(answer.err, 'WRONGTYPE', 1, true) then error(answer.err, 0) end
  return otherwise
end
