-- The head of a message: when it was accepted, how often it was delivered, how often its runner was lost. Kombu's JSON
-- has spaces after its commas, and writes our head again when it puts a message back.
local HEAD = '^{"taskqueue":%s?%[(%d+),%s?(%d+),%s?(%d+)%],%s?'

local function with_head(accepted, runs, losses, tail)
  return '{"taskqueue":[' .. accepted .. ',' .. runs .. ',' .. losses .. '],' .. tail
end

-- accepted, runs, losses, tail; nothing for a text that is no JSON object with members.
local function open_message(text)
  local from, to, accepted, runs, losses = string.find(text, HEAD)
  if from then
    return accepted, tonumber(runs), tonumber(losses), string.sub(text, to + 1)
  end
  local _, brace = string.find(text, '^%s*{%s*')
  if brace and string.sub(text, brace + 1, brace + 1) == '"' then
    return '0', 0, 0, string.sub(text, brace + 1)
  end
end
