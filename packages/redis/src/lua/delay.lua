-- Puts new messages of one queue where they wait until they fall due; what is due goes to its list.
-- KEYS: ready (4), delayed, messages of delayed, ids, dead, wake
-- ARGV: for each message: id, number of its list, due, how often it was delivered, the message without its opening brace
-- Returns for each message whether its id was known.
--- @include now
--- @include message
--- @include wake
--- @include publish
local keys = { ready = { KEYS[1], KEYS[2], KEYS[3], KEYS[4] }, delayed = KEYS[5], messages = KEYS[6], ids = KEYS[7], wake = KEYS[9] }
local now = now_ms()
local known = {}
for at = 1, #ARGV, 5 do
  local id = ARGV[at]
  local is_known = redis.call('SISMEMBER', KEYS[7], id) == 1
    or redis.call('ZSCORE', KEYS[5], id)
    or redis.call('ZSCORE', KEYS[8], id)
  known[#known + 1] = is_known and 1 or 0
  if not is_known then
    place(keys, now, {
      id = id,
      list = tonumber(ARGV[at + 1]),
      due = due_at(ARGV[at + 2], now),
      text = with_head(whole(now), ARGV[at + 3], 0, ARGV[at + 4]),
    })
  end
end
return known
