-- Finds the active jobs whose lock holds one of these tokens.
-- KEYS: base. ARGV: among how many of the newest, then tokens. Answers { { id, token }, … }, the newest first.
local base = KEYS[1]
local wanted, answer = {}, {}
for at = 2, #ARGV do wanted[ARGV[at]] = true end
local newest = call('LRANGE', base .. 'active', 0, tonumber(ARGV[1]) - 1)
local locks = locks_of(base, newest)
for index, id in ipairs(newest) do
  if locks[index] and wanted[locks[index]] then answer[#answer + 1] = { id, locks[index] } end
end
return answer
