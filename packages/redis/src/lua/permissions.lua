-- Tries the commands that a worker needs, on a key that holds nothing, and on a queue's lists without changing them.
-- KEYS: ready (4), a key of ours that is not used for anything else
-- Returns the commands that may not be used.
local probe = KEYS[5]
local tries = {
  { 'LRANGE', probe, 0, 0 }, { 'LINDEX', probe, 0 }, { 'TIME' },
  { 'EXISTS', probe }, { 'ZADD', probe, 0, 'x' }, { 'ZREM', probe, 'x' }, { 'ZRANGE', probe, 0, 0 },
  { 'ZRANGEBYSCORE', probe, 0, 0 }, { 'ZSCORE', probe, 'x' }, { 'ZMSCORE', probe, 'x' }, { 'ZRANK', probe, 'x' },
  { 'ZCARD', probe }, { 'ZCOUNT', probe, 0, 0 }, { 'SADD', probe, 'x' }, { 'SREM', probe, 'x' },
  { 'SISMEMBER', probe, 'x' }, { 'SMISMEMBER', probe, 'x' }, { 'HSET', probe, 'x', 'x' }, { 'HDEL', probe, 'x' },
  { 'HGET', probe, 'x' }, { 'HMGET', probe, 'x' }, { 'HEXISTS', probe, 'x' }, { 'HKEYS', probe }, { 'HLEN', probe },
  { 'LPUSH', probe, 'x' }, { 'RPUSH', probe, 'x' }, { 'DEL', probe }, { 'UNLINK', probe },
}
for list = 1, 4 do
  tries[#tries + 1] = { 'LLEN', KEYS[list] }
  tries[#tries + 1] = { 'RPOP', KEYS[list], '0' }
end
local missing = {}
for _, try in ipairs(tries) do
  local answer = redis.pcall(unpack(try))
  local problem = type(answer) == 'table' and answer.err
  local denied = problem
    and (string.find(problem, 'NOPERM') or string.find(problem, 'ACL failure') or string.find(problem, 'user executing the script'))
  if denied then missing[#missing + 1] = try[1] end
end
return missing
