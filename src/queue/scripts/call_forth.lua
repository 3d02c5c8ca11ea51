-- Lets jobs that were put back come before their time.
-- KEYS: base. ARGV: now, and for each job its id and when it is due, as `put_back.lua` was told. One that
-- anybody has moved since then stays where it is. Answers how many came.
local queue = open_queue(KEYS[1])
local now = tonumber(ARGV[1])
local delayed = queue.base .. 'delayed'
local count = 0
for at = 2, #ARGV, 2 do
  local id, due = ARGV[at], tonumber(ARGV[at + 1])
  local score = tonumber(call('ZSCORE', delayed, id) or nil)
  if score and math.floor(score / 0x1000) == due then
    local key = queue.base .. id
    local fields = call('HMGET', key, 'priority', 'tried-for', 'timestamp')
    call('ZREM', delayed, id)
    if fields[3] then
      local tried_for = math.max((tonumber(fields[2]) or 0) - math.max(due - now, 0), 0)
      call('HSET', key, 'delay', 0, 'tried-for', tried_for)
      push_last(queue, id, tonumber(fields[1]) or 0, false)
      emit(queue, 'waiting', id, 'prev', 'delayed')
      count = count + 1
    end
  end
end
if count > 0 then wake(queue) end
return count
