-- When the oldest job that waits was added; nothing where none waits. KEYS: base.
local base = KEYS[1]
local ids = { call('LINDEX', base .. 'wait', -1), call('LINDEX', base .. 'paused', -1) }
ids[#ids + 1] = call('ZRANGE', base .. 'prioritized', 0, 0)[1]
local oldest = false
for _, id in pairs(ids) do
  local added = id and tonumber(call('HGET', base .. id, 'timestamp') or nil)
  if added and (not oldest or added < oldest) then oldest = added end
end
return oldest
