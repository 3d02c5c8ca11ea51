-- Where corrections stand whose containers were found.
-- KEYS: the beginnings of the done keys, of the pending queue's and of the running queue's.
-- ARGV: ms to remember for, then correction, pending job's id, its timestamp, generation, by turns.
local place = { done = KEYS[1], pending = KEYS[2], running = KEYS[3] }
local remember_for = tonumber(ARGV[1])

-- The memory lasts as long as the container does, and once more its time: one that the engine cannot
-- remove would else be taken for an orphan one day, and its result be told again.
local function remember(key)
  local left = call('PTTL', key)
  if left == -2 then
    -- Refused when Redis is out of memory: the next look makes up for it.
    redis.pcall('SET', key, 'seen', 'PX', remember_for)
  elseif left >= 0 and left < remember_for / 2 then
    call('PEXPIRE', key, remember_for)
  end
end

local answer = {}
for at = 2, #ARGV, 4 do
  local found = standing(place, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  if found == 'done' then remember(place.done .. ARGV[at]) end
  answer[#answer + 1] = found
end
return answer
