-- A member arrives.
-- KEYS: barrier
-- ARGV: member
-- Returns {arrived, size}, and the body for the member that completes the barrier or has completed it; nothing when there
-- is no such barrier.
local barrier, member = KEYS[1], ':' .. ARGV[1]
local size, ttl, last = unpack(redis.call('HMGET', barrier, '@size', '@ttl', '@last'))
if not size then return false end
-- This first, because it needs no memory: a server that is full must let tasks end.
redis.call('PEXPIRE', barrier, ttl)
local is_new = redis.call('HSETNX', barrier, member, '1') == 1
local arrived = redis.call('HLEN', barrier) - (last and 4 or 3)
if is_new and arrived == tonumber(size) then
  last = member
  redis.call('HSET', barrier, '@last', last)
end
if last ~= member then return { arrived, tonumber(size) } end
return { arrived, tonumber(size), redis.call('HGET', barrier, '@body') }
