-- Forgets the ids of messages that others took (a Python worker does not tell us). Only while nothing is ready or leased
-- can it be known that all of them are gone.
-- KEYS: ready (4), suspects, consumers, ids
-- ARGV: what the keys of leases begin with
for list = 1, 5 do
  if redis.call('EXISTS', KEYS[list]) == 1 then return 0 end
end
for _, consumer in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  local leased = ARGV[1] .. consumer
  if redis.call('HLEN', leased) > redis.call('HEXISTS', leased, '@') then return 0 end
end
return redis.call('UNLINK', KEYS[7])
