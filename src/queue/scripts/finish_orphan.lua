-- Adds the finished job of a correction that no job knows of.
-- KEYS: as in standing.lua, then the finished queue's base. ARGV: correction, pending job's id, its
-- timestamp, generation, now, what the done key shall hold, ms to remember for, then the job.
local place = { done = KEYS[1], pending = KEYS[2], running = KEYS[3] }
local found = standing(place, ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if found ~= 'orphan' then return found end
local job = job_of_arguments(8, tonumber(ARGV[5]))
if call('EXISTS', KEYS[4] .. job.id) == 0 then
  add_job(open_queue(KEYS[4]), job)
end
call('SET', place.done .. ARGV[1], ARGV[6], 'PX', ARGV[7])
return 'added'
