-- Adds a job; one with an id of its own only where no job has that id.
-- KEYS: base. ARGV: now, then the job (id '' = the queue's next number).
local queue = open_queue(KEYS[1])
local job = job_of_arguments(2, tonumber(ARGV[1]))
if job.id == '' then
  -- Where the counter was lost, its numbers may be taken.
  repeat
    job.id = tostring(call('INCR', queue.base .. 'id'))
  until call('EXISTS', queue.base .. job.id) == 0
elseif call('EXISTS', queue.base .. job.id) == 1 then
  emit(queue, 'duplicated', job.id)
  return { 0, job.id }
end
add_job(queue, job)
return { 1, job.id }
