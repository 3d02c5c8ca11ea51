-- Puts a job back to be taken again, after a delay or at once.
-- KEYS: base. ARGV: id, token, now, delay, 'attempt' (BullMQ counts it), 'free' (we do) or 'untried'
-- (nobody does, but for how long it is put back), reason, the reason as a JSON string, whether the job is a LIFO one, ms since the take
-- (by a clock that nobody can set), '1' where its container may run, so that it keeps its permits, '1' where one that was
-- cancelled is not put back: 'cancelled' (nothing was changed).
local queue = open_queue(KEYS[1])
local id, token, now, delay = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = queue.base .. id
local fields = call('HMGET', key, 'ended-by', 'priority', 'permit', 'rule-permit', 'line')
if call('GET', key .. ':lock') ~= token then
  return fields[1] == token and 'already' or 'lost'
end
if ARGV[11] == '1' and is_marked(key) then return 'cancelled' end
if not leave_active(queue, id, token) then return 'lost' end
local permits = permits_of(fields, 3)
-- The container of a running job runs.
if permits and ARGV[10] ~= '1' and permits.line == queue.base then give_up(queue, id, permits) end
if ARGV[5] == 'attempt' then
  call('HINCRBY', key, 'atm', 1)
  call('HSET', key, 'failedReason', ARGV[6], 'stacktrace', append_trace(key, ARGV[7]),
    'delay', delay, 'ended-by', token)
  -- The next attempt waits for its turn anew.
  call('HDEL', key, 'tried-for')
elseif ARGV[5] == 'untried' then
  call('HINCRBY', key, 'ats', -1)
  call('HINCRBY', key, 'tried-for', tonumber(ARGV[9]) + delay)
  call('HSET', key, 'delay', delay, 'ended-by', token)
  -- The window may be over by now; then there is nothing to give back.
  local limiter = queue.base .. 'limiter'
  if (tonumber(call('GET', limiter)) or 0) > 0 then call('DECR', limiter) end
else
  call('HINCRBY', key, 'tried-for', tonumber(ARGV[9]) + delay)
  call('HINCRBY', key, 'retries', 1)
  call('HSET', key, 'delay', delay, 'ended-by', token)
end
if delay > 0 then
  push_delayed(queue, id, now + delay)
else
  push_last(queue, id, tonumber(fields[2]) or 0, ARGV[8] == '1')
  emit(queue, 'waiting', id, 'prev', 'active')
  wake(queue)
end
return 'done'
