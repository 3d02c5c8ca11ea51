-- Jobs of one state for a person to see.
-- KEYS: base. ARGV: state, the lowest and the highest score, from, how many. Answers { ids there were, the score
-- of the last ('' in a list), how many at the end have it, { id, its score ('' in a list), name, data, timestamp, atm, opts, failedReason, returnvalue, gen,
-- processedOn } … }; newest first in a sorted set.
local base, state = KEYS[1], ARGV[1]
local from, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local ids, scores = {}, {}
if state == 'wait' or state == 'paused' or state == 'active' then
  ids = call('LRANGE', base .. state, from, from + count - 1)
else
  local found = call('ZREVRANGEBYSCORE', base .. state, ARGV[3], ARGV[2], 'WITHSCORES', 'LIMIT', from, count)
  for index = 1, #found, 2 do
    ids[#ids + 1] = found[index]
    scores[#ids] = found[index + 1]
  end
end
local last = scores[#ids] or ''
local alike = 0
while last ~= '' and scores[#ids - alike] == last do alike = alike + 1 end
local answer = { #ids, last, alike }
for index, id in ipairs(ids) do
  local fields = call('HMGET', base .. id, 'name', 'data', 'timestamp', 'atm', 'opts', 'failedReason', 'returnvalue',
    'gen', 'processedOn')
  if fields[3] then
    local record = { id, scores[index] or '' }
    for field = 1, 9 do record[field + 2] = fields[field] or '' end
    answer[#answer + 1] = record
  end
end
return answer
