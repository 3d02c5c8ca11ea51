-- Puts jobs back in line that another client failed for having stalled too often: that is no verdict.
-- KEYS: base. ARGV: how many of the newest failed jobs are looked at. Answers the revived ids.
local queue = open_queue(KEYS[1])
local base = queue.base
local revived = {}
for _, id in ipairs(call('ZREVRANGE', base .. 'failed', 0, tonumber(ARGV[1]) - 1)) do
  local fields = call('HMGET', base .. id, 'failedReason', 'priority')
  if fields[1] == OVER_STALLED then
    push_first(queue, id, tonumber(fields[2]) or 0)
    call('ZREM', base .. 'failed', id)
    call('HDEL', base .. id, 'failedReason', 'finishedOn', 'processedOn', 'defa')
    emit(queue, 'waiting', id, 'prev', 'failed')
    revived[#revived + 1] = id
  end
end
if #revived > 0 then wake(queue) end
return revived
