-- Where corrections stand whose containers were found. A job that is to see to one and stands in none of
-- its queue's lists, since somebody deleted that, is put back in line.
-- KEYS: the beginnings of the done keys, of the pending queue's and of the running queue's.
-- ARGV: correction, pending job's id, its timestamp, generation, by turns.
local place = { done = KEYS[1], pending = KEYS[2], running = KEYS[3] }
-- To search a long list for many jobs would hold up everybody else: the next sweep looks for more.
local searches = 20

local function is_stranded(base, id)
  if call('EXISTS', base .. id .. ':lock') == 1 then return false end
  for _, set in ipairs({ 'delayed', 'prioritized', 'waiting-children', 'failed', 'completed' }) do
    if call('ZSCORE', base .. set, id) then return false end
  end
  searches = searches - 1
  if searches < 0 then return false end
  for _, list in ipairs({ 'active', 'wait', 'paused' }) do
    -- Redis before 6.0.6 answers with an error: it cannot be told then.
    if redis.pcall('LPOS', base .. list, id) then return false end
  end
  return true
end

local answer = {}
for at = 1, #ARGV, 4 do
  local found, base, id = standing(place, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  if base and is_stranded(base, id) then
    local queue = open_queue(base)
    push_first(queue, id, 0)
    -- As after a lost lock: whoever takes it looks at its container first.
    call('HINCRBY', base .. id, 'stc', 1)
    emit(queue, 'waiting', id)
    wake(queue)
  end
  answer[#answer + 1] = found
end
return answer
