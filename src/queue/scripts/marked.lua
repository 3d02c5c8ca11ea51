-- Which jobs are marked as cancelled, and since when.
-- KEYS: base. ARGV: ids. Answers for each '' or the ms since its mark.
local answer, now = {}, server_now()
for index = 1, #ARGV do
  local since = tonumber(call('HGET', KEYS[1] .. ARGV[index], 'cancel'))
  answer[index] = since and tostring(math.max(now - since, 0)) or ''
end
return answer
