-- Adds the finished job of a correction that no job knows of, or the pending job that runs it again.
-- KEYS: as in standing.lua, then that queue's base, the installation's id and the set that notes the
-- submission that is left ('' = none). ARGV: correction, pending job's id, its timestamp, generation, its
-- container's installation, now, what the done key shall hold, ms to remember for, then the job (8), then the
-- submission, how many are noted at most, ms to note them for.

-- The records of an installation that was reset are gone because a person wanted that: its containers
-- are left alone, as if their corrections were live.
if call('GET', KEYS[5]) ~= ARGV[5] then return 'live' end
local place = { done = KEYS[1], pending = KEYS[2], running = KEYS[3] }
local found = standing(place, ARGV[1], ARGV[2], ARGV[3], ARGV[4])
if found ~= 'orphan' then return found end
local job = job_of_arguments(9, tonumber(ARGV[6]))
if call('EXISTS', KEYS[4] .. job.id) == 0 then
  add_job(open_queue(KEYS[4]), job)
  note(KEYS[6], ARGV[17], tonumber(ARGV[6]), ARGV[18], ARGV[19])
end
call('SET', place.done .. ARGV[1], ARGV[7], 'PX', ARGV[8])
return 'added'
