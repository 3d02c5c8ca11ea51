-- Puts a job back to be taken again, after a delay or at once.
-- KEYS: base. ARGV: id, token, now, delay, 'attempt' (BullMQ counts it) or 'free' (we do), reason, the
-- reason as a JSON string, whether the job is a LIFO one, ms since the take (by a clock that nobody can
-- set), '1' where its container may run, so that it keeps its permits, '1' where one that was cancelled is
-- not put back: 'cancelled' (nothing was changed), a line for its log ('' = none), and how many lines the
-- log keeps.
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
else
  call('HINCRBY', key, 'tried-for', tonumber(ARGV[9]) + delay)
  call('HINCRBY', key, 'retries', 1)
  call('HSET', key, 'delay', delay, 'ended-by', token)
end
write_log(queue, id, ARGV[12], tonumber(ARGV[13]))
if delay > 0 then
  place_delayed(queue, id, now + delay)
  mark_if_first(queue, { [id] = true })
else
  push_last(queue, id, tonumber(fields[2]) or 0, ARGV[8] == '1')
  emit(queue, 'waiting', id, 'prev', 'active')
  wake(queue)
end
return 'done'
