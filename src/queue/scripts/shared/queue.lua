-- Shared: what a queue is, and the ways into it. A `base` is what a queue's keys start with, the
-- last colon included. Numbers go to Redis as numbers: joined into a text they would lose digits.
local call = redis.call

local OVER_STALLED = 'job stalled more than allowable limit'

-- Reads the queue's settings once for the whole script.
local function open_queue(base)
  local meta = call('HMGET', base .. 'meta', 'paused', 'concurrency', 'opts.maxLenEvents', 'max', 'duration')
  return {
    base = base,
    paused = meta[1] ~= false,
    concurrency = tonumber(meta[2]),
    events = tonumber(meta[3]) or 10000,
    rate_max = tonumber(meta[4]),
    rate_duration = tonumber(meta[5]),
  }
end

local function emit(queue, event, id, ...)
  call('XADD', queue.base .. 'events', 'MAXLEN', '~', queue.events, '*', 'event', event, 'jobId', id, ...)
end

-- While a queue is paused, 5.12 keeps waiting jobs in `paused`, and its resume renames that over
-- `wait`; 6.x leaves them in `wait` and its resume joins `paused` to it. So a `wait` that exists is
-- 6.x's and takes the job; else `paused` does, which both bring back.
local function waiting_list(queue)
  if queue.paused and call('EXISTS', queue.base .. 'wait') == 0 then
    return queue.base .. 'paused'
  end
  return queue.base .. 'wait'
end

-- Wakes one worker, unless none may take a job now.
local function wake(queue)
  if queue.paused then return end
  if queue.concurrency and call('LLEN', queue.base .. 'active') >= queue.concurrency then return end
  call('ZADD', queue.base .. 'marker', 0, '0')
end

-- Whether anything waits that may be taken at once, if the queue is not paused.
local function has_line(queue)
  return call('EXISTS', queue.base .. 'wait', queue.base .. 'paused', queue.base .. 'prioritized') > 0
end

-- Tells waiting workers when the next delayed job is due.
local function mark_next_delayed(queue)
  local next_job = call('ZRANGE', queue.base .. 'delayed', 0, 0, 'WITHSCORES')
  if next_job[2] then
    call('ZADD', queue.base .. 'marker', tonumber(next_job[2]) / 0x1000, '1')
  end
end

local function push_by_priority(queue, id, priority)
  local turn = call('INCR', queue.base .. 'pc')
  call('ZADD', queue.base .. 'prioritized', priority * 0x100000000 + turn % 0x100000000, id)
end

-- Puts a job behind its equals.
local function push_last(queue, id, priority, lifo)
  if priority > 0 then
    push_by_priority(queue, id, priority)
  else
    call(lifo and 'RPUSH' or 'LPUSH', waiting_list(queue), id)
  end
end

-- Puts a job before its equals.
local function push_first(queue, id, priority)
  if priority > 0 then
    call('ZADD', queue.base .. 'prioritized', priority * 0x100000000, id)
  else
    call('RPUSH', waiting_list(queue), id)
  end
end

-- The score is the time in ms with 12 bits below that keep the order within one ms.
local function place_delayed(queue, id, at)
  local delayed = queue.base .. 'delayed'
  local lowest = at * 0x1000
  local last = call('ZREVRANGEBYSCORE', delayed, lowest + 0xfff, lowest, 'WITHSCORES', 'LIMIT', 0, 1)
  local score = lowest
  if last[2] then score = math.min(tonumber(last[2]) + 1, lowest + 0xfff) end
  call('ZADD', delayed, score, id)
  emit(queue, 'delayed', id, 'delay', at)
end

local function push_delayed(queue, id, at)
  place_delayed(queue, id, at)
  mark_next_delayed(queue)
end

-- The same of jobs in `placed`, by id, that were placed already. Whoever waits knows when the first is due: only a
-- new first is news.
local function mark_if_first(queue, placed)
  if placed[call('ZRANGE', queue.base .. 'delayed', 0, 0)[1]] then mark_next_delayed(queue) end
end

-- Stores a job that is known to be new, and puts it where it belongs. `job`: id, name, data, opts,
-- now, delay, priority, lifo, timestamp (where it is not now), more (further fields of the hash).
local function add_job(queue, job)
  call('HSET', queue.base .. job.id, 'name', job.name, 'data', job.data, 'opts', job.opts,
    'timestamp', job.timestamp or job.now, 'delay', job.delay, 'priority', job.priority, unpack(job.more or {}))
  emit(queue, 'added', job.id, 'name', job.name)
  if job.delay > 0 then
    push_delayed(queue, job.id, job.now + job.delay)
  else
    push_last(queue, job.id, job.priority, job.lifo)
    emit(queue, 'waiting', job.id)
    wake(queue)
  end
end

-- The job that stands in eight arguments from `at` on: id, name, data, opts, delay, priority, lifo,
-- timestamp ('' = now).
local function job_of_arguments(at, now)
  return {
    id = ARGV[at], name = ARGV[at + 1], data = ARGV[at + 2], opts = ARGV[at + 3], now = now,
    delay = tonumber(ARGV[at + 4]), priority = tonumber(ARGV[at + 5]), lifo = ARGV[at + 6] == '1',
    timestamp = tonumber(ARGV[at + 7]),
  }
end

-- The values of many keys; never an empty call.
local function locks_of(base, ids)
  local keys = {}
  for index, id in ipairs(ids) do keys[index] = base .. id .. ':lock' end
  if #keys == 0 then return {} end
  return call('MGET', unpack(keys))
end

-- Remembers something in a set of ours, with the time, for whoever is to deal with it; the oldest of too
-- many are forgotten. `key` may be missing or empty: nothing is to be remembered then.
local function note(key, member, now, most, remember_for)
  if not key or key == '' then return end
  call('ZADD', key, now, member)
  call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(most))
  call('PEXPIRE', key, remember_for)
end
