-- Puts a job aside until it is called back, or its delay is over.
-- One that was cancelled is not put aside: 'cancelled' (nothing was changed).
-- KEYS: base, where it is to stand. ARGV: id, token, now, delay, '1' where that time counts as trying.
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = queue.base .. id
local fields = call('HMGET', key, 'ended-by', 'permit', 'rule-permit', 'line')
if call('GET', key .. ':lock') ~= token then
  return fields[1] == token and 'already' or 'lost'
end
if is_marked(key) then return 'cancelled' end
if not leave_active(queue, id, token) then return 'lost' end
local permits = permits_of(fields, 2)
if permits then give_up(queue, id, permits) end
call('HSET', key, 'ended-by', token)
put_aside(queue, id, KEYS[2], now, tonumber(ARGV[4]), ARGV[5] == '1')
return 'done'
