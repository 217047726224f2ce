-- Writes result records.
-- KEYS: a key for each record
-- ARGV: for each record: rank, run, created, started, progress, expires, the rest of the record
-- Returns for each record 1: stored, 0: superseded.
--- @include result
local answers = {}
for i = 1, #KEYS do
  local at = (i - 1) * 7
  answers[i] = put_result(KEYS[i], {
    rank = tonumber(ARGV[at + 1]),
    run = tonumber(ARGV[at + 2]),
    created = ARGV[at + 3],
    started = ARGV[at + 4],
    progress = ARGV[at + 5],
    expires = ARGV[at + 6],
    tail = ARGV[at + 7],
  })
end
return answers
