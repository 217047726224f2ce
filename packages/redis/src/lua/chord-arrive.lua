-- A member of a chord has ended.
-- KEYS: members, size, what was added to it, who completed it
-- ARGV: place (a score), the member as Celery writes it, its task id, how long the chord is kept (milliseconds, or '')
-- Returns all members in order for the one that completes the chord or has completed it; nothing otherwise.
local members, size, added, completer = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local place, text, id, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local is_new = true
for _, known in ipairs(redis.call('ZRANGEBYSCORE', members, place, place)) do
  local ok, member = pcall(cjson.decode, known)
  if ok and type(member) == 'table' and member[2] == id then is_new = false end
end
if is_new then redis.call('ZADD', members, place, text) end
if ttl ~= '' then
  for i = 1, 3 do
    redis.call('PEXPIRE', KEYS[i], ttl)
  end
end
local total = tonumber(redis.call('GET', size) or '')
if not total then return false end
total = total + tonumber(redis.call('GET', added) or '0')
if is_new and redis.call('ZCARD', members) == total then
  redis.call('SET', completer, id)
  if ttl ~= '' then redis.call('PEXPIRE', completer, ttl) end
end
if redis.call('GET', completer) ~= id then return false end
return redis.call('ZRANGE', members, 0, -1)
