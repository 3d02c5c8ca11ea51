-- Keeps locks alive; answers the tokens whose lock is not theirs any more.
-- KEYS: base. ARGV: ms of a lock, then id and token by turns.
local base = KEYS[1]
local ids, lost, kept = {}, {}, {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
local locks = locks_of(base, ids)
for index, id in ipairs(ids) do
  local token = ARGV[2 * index + 1]
  if locks[index] == token then
    call('PEXPIRE', base .. id .. ':lock', ARGV[1])
    kept[#kept + 1] = id
  else
    lost[#lost + 1] = token
  end
end
if #kept > 0 then call('SREM', base .. 'stalled', unpack(kept)) end
return lost
