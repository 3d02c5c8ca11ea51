-- Adds the next queue's job and completes this one: both or neither.
-- KEYS: base, the next queue's base, the key that remembers the correction as done ('' = none), and, where
-- something is left to be cleared away, the sets that note the container and the submission ('' = none).
-- ARGV: id, token, now, return value, count and age to keep ('' = no limit), ms to remember for,
-- then the next job (8), then the container, the submission, how many are noted at most, ms to note them for, '1' where
-- it is known that the correction was cancelled; else its end is not taken: 'cancelled' (nothing was changed).
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local next_job = job_of_arguments(8, now)
local next_key = KEYS[2] .. next_job.id
local job = read_ending(queue, id)
local done = KEYS[3] ~= '' and call('GET', KEYS[3])
if job.lock ~= token then
  -- The reply of a first call may have been lost: then one of its traces holds this take's token.
  local traced = job.ended_by == token or done == token or call('HGET', next_key, 'handed-by') == token
  return traced and 'already' or 'lost'
end
if job.marks and KEYS[3] ~= '' and ARGV[20] ~= '1' then return 'cancelled' end
local known = done or call('EXISTS', next_key) == 1
if not leave_active(queue, id, token) then return 'lost' end
if not known then
  next_job.more = { 'handed-by', token }
  -- From pending to running the correction goes on, and with it what its container is permitted. From
  -- anywhere else, and to anywhere else, no container runs any more.
  if job.permits and KEYS[3] == '' and queue.base == job.permits.line then
    for _, part in ipairs(pass_on(queue, id, job.permits, next_job.id, now)) do
      next_job.more[#next_job.more + 1] = part
    end
    job.permits = nil
  end
  add_job(open_queue(KEYS[2]), next_job)
end
-- Whoever takes the running job is to end it.
if job.marks and KEYS[3] == '' and call('HEXISTS', next_key, 'finishedOn') == 0 and call('EXISTS', next_key) == 1 then
  put_mark(next_key, job.marked_since, job.marks)
end
if KEYS[3] ~= '' and not done then call('SET', KEYS[3], token, 'PX', ARGV[7]) end
note(KEYS[4], ARGV[16], now, ARGV[18], ARGV[19])
-- Where the correction's end was there before, its file is that one's to note.
if not known then note(KEYS[5], ARGV[17], now, ARGV[18], ARGV[19]) end
complete(queue, id, job, token, now, ARGV[4], { count = tonumber(ARGV[5]), age = tonumber(ARGV[6]) })
return 'done'
