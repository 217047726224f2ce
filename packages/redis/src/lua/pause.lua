-- Pauses a queue, or lets it go on.
-- KEYS: state, wake
-- ARGV: 1: pause, 0: go on
--- @include room
--- @include wake
make_room(KEYS[2])
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'paused', '1')
else
  redis.call('HDEL', KEYS[1], 'paused')
  ring(KEYS[2])
end
return 1
