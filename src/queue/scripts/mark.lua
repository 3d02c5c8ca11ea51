-- Marks a job as cancelled that whoever has it, or will have it, is to end.
-- KEYS: base, the set of marks. ARGV: id.
-- Answers { 'marked', the lock's token ('' = nobody has it) }, { 'ended' } or { 'gone' }.
local base, id = KEYS[1], ARGV[1]
local key = base .. id
local fields = call('HMGET', key, 'data', 'finishedOn', 'failedReason')
if not fields[1] then return { 'gone' } end
if fields[2] and fields[3] ~= OVER_STALLED then
  drop_mark(key)
  return { 'ended' }
end
if not is_marked(key) then put_mark(key, server_now(), KEYS[2]) end
return { 'marked', call('GET', key .. ':lock') or '' }
