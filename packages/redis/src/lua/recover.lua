-- Takes messages away from a consumer whose leases have run out; each counts a lost runner and becomes a suspect. At
-- most so many at a time; the caller goes on while there is more.
-- KEYS: leased, consumers, suspects, wake
-- ARGV: consumer, most
-- Returns how many went back and how many are left; nothing when the consumer lives.
--- @include now
--- @include message
--- @include room
--- @include wake
local ends = redis.call('ZSCORE', KEYS[2], ARGV[1])
-- Where this has begun it goes on to the end.
if ends and tonumber(ends) > now_ms() and redis.call('HEXISTS', KEYS[1], '@') == 1 then return { 0, 0 } end
make_room(KEYS[4])
-- It has to register anew before it claims again, and cannot while something is left here.
redis.call('HDEL', KEYS[1], '@')
local fields = redis.call('HKEYS', KEYS[1])
table.sort(fields, function(a, b)
  return tonumber(string.match(a, '%d+$')) < tonumber(string.match(b, '%d+$'))
end)
local count = math.min(#fields, tonumber(ARGV[2]))
for i = 1, count do
  local text = redis.call('HGET', KEYS[1], fields[i])
  local accepted, runs, losses, tail = open_message(text)
  if accepted then text = with_head(accepted, runs + 1, losses + 1, tail) end
  redis.call('LPUSH', KEYS[3], text)
  redis.call('HDEL', KEYS[1], fields[i])
end
if count > 0 then ring(KEYS[4]) end
if count == #fields then redis.call('ZREM', KEYS[2], ARGV[1]) end
return { count, #fields - count }
