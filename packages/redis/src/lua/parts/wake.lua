-- Wakes one sleeping consumer of the queue; when none sleeps, the next one that wants to sleep looks once more.
local function ring(wake)
  redis.call('ZADD', wake, 0, '0')
end
