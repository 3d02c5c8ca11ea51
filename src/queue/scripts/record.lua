-- One job, wherever it stands, for a person to see.
-- KEYS: base. ARGV: id. Answers { state, score, … as in records.lua, the lines of its log }, or nothing.
local base, id = KEYS[1], ARGV[1]
local key = base .. id
local fields = call('HMGET', key, 'name', 'data', 'timestamp', 'atm', 'opts', 'failedReason', 'returnvalue',
  'gen', 'processedOn')
if not fields[3] then return {} end
local state, score = 'wait', ''
for _, set in ipairs({ 'failed', 'completed', 'delayed', 'prioritized' }) do
  local found = call('ZSCORE', base .. set, id)
  if found then state, score = set, found end
end
for _, active in ipairs(call('LRANGE', base .. 'active', 0, -1)) do
  if active == id then state = 'active' end
end
local record = { id, score }
for field = 1, 9 do record[field + 2] = fields[field] or '' end
return { state, record, call('LRANGE', key .. ':logs', 0, -1) }
