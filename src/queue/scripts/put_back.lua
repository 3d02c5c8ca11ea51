-- Puts jobs back that nobody tried, until a time. Nobody counts that, but for how long it was ('tried-for').
-- KEYS: base. ARGV: now, and for each job its id, its token, ms since the take (by a clock that nobody can
-- set), and when it is due. Answers for each 'done', 'already' or 'lost'.
-- (Jobs that may have permits are put back by `retry.lua`.)
local queue = open_queue(KEYS[1])
local now = tonumber(ARGV[1])

local placed, count = {}, 0
local function put_back(id, token, held_for, due)
  local key = queue.base .. id
  local fields = call('HMGET', key, 'ended-by', 'ats', 'tried-for')
  if call('GET', key .. ':lock') ~= token then
    return fields[1] == token and 'already' or 'lost'
  end
  if not leave_active(queue, id, token) then return 'lost' end
  local delay = math.max(due - now, 0)
  call('HSET', key, 'ats', (tonumber(fields[2]) or 0) - 1,
    'tried-for', (tonumber(fields[3]) or 0) + held_for + delay, 'delay', delay, 'ended-by', token)
  place_delayed(queue, id, due)
  placed[id] = true
  count = count + 1
  return 'done'
end

local answers = {}
for at = 2, #ARGV, 4 do
  answers[#answers + 1] = put_back(ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
end
if count > 0 then
  -- The window may be over by now; then there is nothing to give back.
  local limiter = queue.base .. 'limiter'
  local used = math.min(tonumber(call('GET', limiter)) or 0, count)
  if used > 0 then call('DECRBY', limiter, used) end
  mark_if_first(queue, placed)
end
return answers
