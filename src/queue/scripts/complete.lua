-- Completes a job.
-- KEYS: base. ARGV: id, token, now, return value, count and age to keep ('' = no limit), a line for the
-- job's log ('' = none), how many lines that keeps.
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local job = read_ending(queue, id)
if job.lock ~= token then return job.ended_by == token and 'already' or 'lost' end
if not leave_active(queue, id, token) then return 'lost' end
complete(queue, id, job, token, now, ARGV[4], { count = tonumber(ARGV[5]), age = tonumber(ARGV[6]) })
write_log(queue, id, ARGV[7], tonumber(ARGV[8]))
return 'done'
