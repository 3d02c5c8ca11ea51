-- Looks at jobs that seem to stand in no list: a resume by BullMQ 5.12 renames `paused` over a `wait` that
-- 6.x left, and the other way round.
-- KEYS: base. ARGV: '1' where they are to be put back in front of the line, how many jobs may stand in
-- the lists at most for that (all are read at once, and Redis does nothing else meanwhile), then ids.
-- Answers those that have not ended, that nobody works on and that are in no sorted set; where they are to
-- be put back, those that are in no list either, and are back now.
local LISTS = { 'wait', 'paused', 'active' }

local queue = open_queue(KEYS[1])
local base = queue.base

local suspects, ids = {}, {}
for at = 3, #ARGV do
  local id = ARGV[at]
  local fields = call('HMGET', base .. id, 'name', 'data', 'timestamp', 'finishedOn', 'priority')
  local open = fields[1] and fields[2] and fields[3] and not fields[4]
    and call('EXISTS', base .. id .. ':lock') == 0
  for _, set in ipairs({ 'prioritized', 'delayed', 'waiting-children', 'completed', 'failed' }) do
    open = open and not call('ZSCORE', base .. set, id)
  end
  if open then
    suspects[#suspects + 1] = { id = id, priority = tonumber(fields[5]) or 0 }
    ids[#ids + 1] = id
  end
end
if ARGV[1] ~= '1' or #suspects == 0 then return ids end

local length = 0
for _, list in ipairs(LISTS) do length = length + call('LLEN', base .. list) end
if length > tonumber(ARGV[2]) then return {} end

local standing = {}
for _, list in ipairs(LISTS) do
  for _, id in ipairs(call('LRANGE', base .. list, 0, -1)) do standing[id] = true end
end
local put_back = {}
for _, suspect in ipairs(suspects) do
  if not standing[suspect.id] then
    push_first(queue, suspect.id, suspect.priority)
    emit(queue, 'waiting', suspect.id)
    put_back[#put_back + 1] = suspect.id
  end
end
if #put_back > 0 then wake(queue) end
return put_back
