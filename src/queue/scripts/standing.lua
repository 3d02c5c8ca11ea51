-- Where corrections stand whose containers were found.
-- KEYS: the beginnings of the done keys, of the pending queue's and of the running queue's.
-- ARGV: correction, pending job's id, its timestamp, generation, by turns.
local place = { done = KEYS[1], pending = KEYS[2], running = KEYS[3] }
local answer = {}
for at = 1, #ARGV, 4 do
  answer[#answer + 1] = standing(place, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
return answer
