-- Gives back what a consumer holds with numbers in a range: all of it when it closes, or what an answer that was lost
-- leased to it. At most so many at a time; the caller goes on while there is more.
-- KEYS: ready (4), suspects, leased, consumers, wake
-- ARGV: consumer, from, up to but not including (or -1: no end), new lowest number for claims (or -1: the consumer
--   leaves), most
-- Returns how many are left.
--- @include now
--- @include message
--- @include room
--- @include wake
--- @include give-back
local leased, consumers, bell = KEYS[6], KEYS[7], KEYS[8]
if redis.call('EXISTS', leased) == 0 then return 0 end
make_room(bell)
local from, to, floor = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if floor >= 0 and redis.call('HEXISTS', leased, '@') == 1 then
  redis.call('HSET', leased, '@', ARGV[4])
elseif floor < 0 then
  redis.call('HDEL', leased, '@')
end
local fields = {}
for _, field in ipairs(redis.call('HKEYS', leased)) do
  local number = tonumber(string.match(field, '%d+$') or '-1')
  if field ~= '@' and number >= from and (to < 0 or number < to) then fields[#fields + 1] = field end
end
table.sort(fields, by_number_descending)
local count = math.min(#fields, tonumber(ARGV[5]))
for i = 1, count do
  give_back(leased, KEYS[5], { KEYS[1], KEYS[2], KEYS[3], KEYS[4] }, fields[i])
end
if count > 0 then ring(bell) end
if floor < 0 and count == #fields then
  redis.call('DEL', leased)
  redis.call('ZREM', consumers, ARGV[1])
end
return #fields - count
