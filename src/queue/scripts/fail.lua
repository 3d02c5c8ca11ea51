-- Fails a job for good.
-- KEYS: base. ARGV: id, token, now, reason, the reason as a JSON string, attempts in all, count and
-- age to keep ('' = no limit).
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local job = read_ending(queue, id)
if job.lock ~= token then return job.ended_by == token and 'already' or 'lost' end
if not leave_active(queue, id, token) then return 'lost' end
local trace = append_trace(queue.base .. id, ARGV[5])
local made = finish(queue, id, job, now, 'failed', 'failedReason', ARGV[4],
  { 'stacktrace', trace, 'ended-by', token }, { count = tonumber(ARGV[7]), age = tonumber(ARGV[8]) })
if made >= tonumber(ARGV[6]) then
  emit(queue, 'retries-exhausted', id, 'attemptsMade', made)
end
return 'done'
