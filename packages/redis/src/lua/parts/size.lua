-- A script reads messages in steps of so many, and ends when those that it has read are so long together, in bytes: the
-- server does nothing else meanwhile, and holds them twice.
local STEP = 20
local LARGEST_STEP = 4194304

local function size_of(texts)
  local size = 0
  for _, text in ipairs(texts) do
    size = size + #text
  end
  return size
end
