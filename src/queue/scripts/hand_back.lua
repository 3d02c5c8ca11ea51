-- Gives up locks and puts the jobs in front of the line; the last one stands first then.
-- KEYS: base. ARGV: '1' where it counts as stalled, then id and token by turns, the newest first:
-- removing from the active list walks from its new end. Answers how many were put back.
local queue = open_queue(KEYS[1])
local base = queue.base
local ids, back = {}, {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
local locks = locks_of(base, ids)
for index, id in ipairs(ids) do
  local token, key = ARGV[2 * index + 1], base .. ids[index]
  if locks[index] == token then
    -- Changes nothing, and is refused when Redis is out of memory: what follows is not refused then.
    call('SET', key .. ':lock', token, 'KEEPTTL')
    -- Where somebody deleted the list, the lock still tells whose it is.
    if call('LREM', base .. 'active', 1, id) == 1 or call('EXISTS', key) == 1 then
      push_first(queue, id, tonumber(call('HGET', key, 'priority')) or 0)
      if ARGV[1] == '1' then call('HINCRBY', key, 'stc', 1) end
      emit(queue, 'waiting', id, 'prev', 'active')
      back[#back + 1] = ids[index]
    end
    call('DEL', key .. ':lock')
    call('SREM', base .. 'stalled', id)
  end
end
if #back > 0 then
  wake(queue)
  wake_holders(queue, back)
end
return #back
