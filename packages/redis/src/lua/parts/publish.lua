-- When a message falls due: '' at once, '+<ms>' from now, else an instant.
local function due_at(due, now)
  if due == '' then return now end
  if string.sub(due, 1, 1) == '+' then return now + tonumber(string.sub(due, 2)) end
  return tonumber(due)
end

-- Puts a complete message where it waits. `keys`: ready (4), delayed, messages, ids, wake.
local function place(keys, now, message)
  if message.due <= now then
    redis.call('LPUSH', keys.ready[message.list], message.text)
    redis.call('SADD', keys.ids, message.id)
    ring(keys.wake)
    return
  end
  redis.call('HSET', keys.messages, message.id, message.list .. message.text)
  redis.call('ZADD', keys.delayed, whole(message.due), message.id)
  -- Somebody must know that the next one falls due sooner.
  if redis.call('ZRANK', keys.delayed, message.id) == 0 then ring(keys.wake) end
end
