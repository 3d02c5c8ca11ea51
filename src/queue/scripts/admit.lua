-- Gives a job a permit of the rule that governs its image, or puts it aside until there is one.
-- KEYS: base, the rule's permits. ARGV: id, token, now, how many there are, delay of what is put aside.
-- Answers 'in', 'aside', 'lost', or 'cancelled' where it would be put aside and was cancelled (nothing was changed then).
local queue = open_queue(KEYS[1])
local rule, id, token = KEYS[2], ARGV[1], ARGV[2]
local now, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local key, member = queue.base .. id, 'job:' .. id
local fields = call('HMGET', key, 'ended-by', 'permit', 'rule-permit', 'line')
if call('GET', key .. ':lock') ~= token then
  return fields[1] == token and 'aside' or 'lost'
end
-- It may have been taken before, by a starter that had another rule for it, or on another engine.
if fields[3] and fields[3] ~= rule and call('ZREM', fields[3], member) == 1 then
  call_back(queue, aside_of(fields[3]), 1)
end
local room = most - call('ZCARD', rule)
if call('ZSCORE', rule, member) or room > 0 then
  if call('ZADD', rule, now, member) == 1 then room = room - 1 end
  call('HSET', key, 'rule-permit', rule, 'line', queue.base)
  -- There may be more room than there was.
  if room > 0 then call_back(queue, aside_of(rule), room) end
  return 'in'
end
if is_marked(key) then return 'cancelled' end
if not leave_active(queue, id, token) then return 'lost' end
local permits = permits_of({ fields[2], false, fields[4] }, 1)
if permits then give_up(queue, id, permits) end
call('HSET', key, 'ended-by', token)
put_aside(queue, id, aside_of(rule), now, tonumber(ARGV[5]), false)
return 'aside'
