-- Takes messages from a consumer that cannot end them, as if their leases had run out: each counts a lost runner and
-- becomes a suspect.
-- KEYS: leased, suspects, wake
-- ARGV: fields
--- @include message
--- @include room
--- @include wake
make_room(KEYS[3])
for _, field in ipairs(ARGV) do
  local text = redis.call('HGET', KEYS[1], field)
  if text then
    local accepted, runs, losses, tail = open_message(text)
    if accepted then text = with_head(accepted, runs + 1, losses + 1, tail) end
    redis.call('LPUSH', KEYS[2], text)
    redis.call('HDEL', KEYS[1], field)
    ring(KEYS[3])
  end
end
return 1
