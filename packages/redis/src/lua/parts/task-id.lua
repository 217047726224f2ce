-- The headers of a message of protocol 2; nothing for another text.
local function headers_of(text)
  local ok, message = pcall(cjson.decode, text)
  local headers = ok and type(message) == 'table' and message.headers
  return type(headers) == 'table' and headers or nil
end

local function task_id_of(text)
  local headers = headers_of(text)
  return headers and type(headers.id) == 'string' and headers.id or nil
end
