-- At maxmemory Redis refuses a script only if its first write needs memory. So the first write is one that never does
-- (it removes a member that is not there): what frees memory must go on. After it we add before we remove, so that an
-- error in between leaves a message where it was.
local function make_room(wake)
  redis.call('ZREM', wake, '')
end
