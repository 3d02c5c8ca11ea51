-- Puts active jobs without a lock back in front of the line, in a window of the active list counted
-- from its old end. A lock is set in the script that makes a job active, so none is missing yet.
-- KEYS: base. ARGV: where the window begins (0 = the oldest), how long it is.
-- Answers { how many were looked at, recovered ids … }.
local queue = open_queue(KEYS[1])
local base = queue.base
local from, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local window = call('LRANGE', base .. 'active', -(from + length), -(from + 1))
local locks = locks_of(base, window)
local answer = { #window }
for index = 1, #window do
  local id, key = window[index], base .. window[index]
  if not locks[index] then
    if call('EXISTS', key) == 1 then
      call('HINCRBY', key, 'stc', 1)
      push_first(queue, id, 0)
      emit(queue, 'waiting', id, 'prev', 'active')
      emit(queue, 'stalled', id)
      answer[#answer + 1] = id
    end
    call('LREM', base .. 'active', -1, id)
    call('SREM', base .. 'stalled', id)
  end
end
if #answer > 1 then wake(queue) end
return answer
