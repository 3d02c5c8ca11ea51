-- Puts active jobs that nobody has back in front of the line, in a window of the active list counted
-- from its old end: those without a lock (it is set in the script that makes a job active, so none is
-- missing yet), and those whose lock's owner is dead, which is what follows the `@` of its token.
-- KEYS: base. ARGV: where the window begins (0 = the oldest), how long it is, now, ms of a lock, then
-- the owners that are known to be dead.
-- Answers { how many were looked at, the other owners, joined by blanks, recovered ids … }.
local queue = open_queue(KEYS[1])
local base = queue.base
local from, length = tonumber(ARGV[1]), tonumber(ARGV[2])
local now, lock_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local dead, seen, owners = {}, {}, {}
for at = 5, #ARGV do dead[ARGV[at]] = true end
local window = call('LRANGE', base .. 'active', -(from + length), -(from + 1))
local locks = locks_of(base, window)
local answer = { #window, '' }

-- Processes that die again and again in a short time harm no job that is in their hands by chance: of
-- such ends one counts in the time of a lock, as it would if locks had to run out. Clocks of machines
-- differ a little; an end that lies further ahead was noted by a clock that was wrong, and hides nothing.
local function count_stall(key, was_locked)
  if was_locked then
    if math.abs(now - (tonumber(call('HGET', key, 'stalled-at')) or 0)) < lock_ms then return end
    call('HSET', key, 'stalled-at', now)
  end
  call('HINCRBY', key, 'stc', 1)
end

for index = 1, #window do
  local id, key, token = window[index], base .. window[index], locks[index]
  local owner = token and string.match(token, '@(.+)$')
  if not token or (owner and dead[owner]) then
    if call('EXISTS', key) == 1 then
      count_stall(key, token)
      push_first(queue, id, 0)
      emit(queue, 'waiting', id, 'prev', 'active')
      emit(queue, 'stalled', id)
      answer[#answer + 1] = id
    end
    call('LREM', base .. 'active', -1, id)
    call('SREM', base .. 'stalled', id)
    if token then call('DEL', key .. ':lock') end
  elseif owner and not seen[owner] then
    seen[owner] = true
    owners[#owners + 1] = owner
  end
end
answer[2] = table.concat(owners, ' ')
if #answer > 2 then
  wake(queue)
  wake_holders(queue, { unpack(answer, 3) })
end
return answer
