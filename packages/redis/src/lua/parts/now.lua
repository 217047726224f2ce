-- The server's clock, epoch milliseconds.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A number as text with all its digits; Lua's own has 14.
local function whole(number)
  return string.format('%.0f', number)
end
