-- Fails a job for good.
-- KEYS: base. ARGV: id, token, now, reason, the reason as a JSON string, attempts in all, count and
-- age to keep, for how long (ms) a job stays beyond that count, and how many at most ('' = no such limit).
-- Answers { what became of it, id and data of each job that is no longer kept … }.
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local job = read_ending(queue, id)
if job.lock ~= token then return { job.ended_by == token and 'already' or 'lost' } end
if not leave_active(queue, id, token) then return { 'lost' } end
local trace = append_trace(queue.base .. id, ARGV[5])
local keep = {
  count = tonumber(ARGV[7]), age = tonumber(ARGV[8]), young = tonumber(ARGV[9]), most = tonumber(ARGV[10]),
  gone = {},
}
local made = finish(queue, id, job, now, 'failed', 'failedReason', ARGV[4],
  { 'stacktrace', trace, 'ended-by', token }, keep)
if made >= tonumber(ARGV[6]) then
  emit(queue, 'retries-exhausted', id, 'attemptsMade', made)
end
return { 'done', unpack(keep.gone) }
