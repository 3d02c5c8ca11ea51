-- Completes a job that nobody has in hand, or that failed, for whoever added it and needs nothing more to be done with it.
-- KEYS: base. ARGV: id, token, now, return value, count to keep. Answers 'done', 'active' (nothing was changed), 'ended' or 'gone'.
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = queue.base .. id
local fields = call('HMGET', key, 'data', 'finishedOn', 'ended-by')
if not fields[1] then return 'gone' end
if fields[2] then
  if fields[3] == token then return 'done' end
  if not call('ZSCORE', queue.base .. 'failed', id) then return 'ended' end
end
if call('EXISTS', key .. ':lock') == 1 then return 'active' end
-- Refused when Redis is out of memory: what follows is not refused then.
call('HSET', key, 'ended-by', token)
if fields[2] then call('HDEL', key, 'failedReason') end
local stood = call('ZREM', queue.base .. 'failed', id) + call('ZREM', queue.base .. 'delayed', id)
  + call('ZREM', queue.base .. 'prioritized', id)
for _, list in ipairs({ 'wait', 'paused', 'active' }) do
  if stood == 0 then stood = call('LREM', queue.base .. list, 1, id) end
end
complete(queue, id, read_ending(queue, id), token, now, ARGV[4], { count = tonumber(ARGV[5]) })
return 'done'
