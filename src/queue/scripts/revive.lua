-- Puts jobs back in line that another client failed for having stalled too often: that is no verdict.
-- Looks at the newest failed jobs and at a window of older ones.
-- KEYS: base. ARGV: how many of the newest, where the window begins (counted from the newest, beyond
-- those), how long it is. Answers { how many the window had, revived ids … }.
local queue = open_queue(KEYS[1])
local base = queue.base
local newest, from, length = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local looked_at = call('ZREVRANGE', base .. 'failed', 0, newest - 1)
local window = call('ZREVRANGE', base .. 'failed', from, from + length - 1)
for _, id in ipairs(window) do looked_at[#looked_at + 1] = id end
local answer = { #window }
for _, id in ipairs(looked_at) do
  local fields = call('HMGET', base .. id, 'failedReason', 'priority')
  if fields[1] == OVER_STALLED then
    push_first(queue, id, tonumber(fields[2]) or 0)
    call('ZREM', base .. 'failed', id)
    call('HDEL', base .. id, 'failedReason', 'finishedOn', 'processedOn', 'defa')
    emit(queue, 'waiting', id, 'prev', 'failed')
    answer[#answer + 1] = id
  end
end
if #answer > 1 then wake(queue) end
return answer
