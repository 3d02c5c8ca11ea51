-- Puts a job back in line as if it had never been tried, for a person; its id stays, and so does its time.
-- KEYS: base. ARGV: id, its data as it was read, its data from now on, a line for its log, how many lines
-- that keeps, the only state from which it is put back ('' = any), '1' where it is another
-- correction from now on (one that another client failed as stalled too often has not ended, and stays the one that
-- it is). Answers where it stood: 'failed', 'completed', 'delayed', 'waiting' (it stays there), 'active'
-- (nothing was changed), 'changed' (its data is another by now: nothing was changed), 'gone', or '!' and the state
-- in which it is instead of the wanted one (nothing was changed).
local queue = open_queue(KEYS[1])
local id = ARGV[1]
local key = queue.base .. id
local fields = call('HMGET', key, 'data', 'priority', 'failedReason')
if not fields[1] then return 'gone' end
if fields[1] ~= ARGV[2] then return 'changed' end
for _, active in ipairs(call('LRANGE', queue.base .. 'active', 0, -1)) do
  if active == id then return 'active' end
end
local from = 'waiting'
for _, state in ipairs({ 'failed', 'completed', 'delayed' }) do
  if call('ZSCORE', queue.base .. state, id) then from = state end
end
if ARGV[6] ~= '' and from ~= ARGV[6] then return '!' .. from end
call('HSET', key, 'data', ARGV[3])
if ARGV[7] == '1' and fields[3] ~= OVER_STALLED then call('HINCRBY', key, 'gen', 1) end
if (from == 'failed' or from == 'completed') and fields[3] ~= OVER_STALLED then drop_mark(key) end
if from ~= 'waiting' then
  call('ZREM', queue.base .. from, id)
  call('HSET', key, 'atm', 0, 'delay', 0)
  call('HDEL', key, 'failedReason', 'returnvalue', 'finishedOn', 'processedOn', 'stacktrace', 'defa',
    'retries', 'tried-for')
end
call('RPUSH', key .. ':logs', ARGV[4])
call('LTRIM', key .. ':logs', -tonumber(ARGV[5]), -1)
if from ~= 'waiting' then
  push_last(queue, id, tonumber(fields[2]) or 0, false)
  emit(queue, 'waiting', id, 'prev', from)
  wake(queue)
end
return from
