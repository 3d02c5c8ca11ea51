-- Shared: the mark of a job that a person cancelled and that somebody works on.
--
-- The job's hash tells since when (`cancel`, ms by the server's clock) and names the set of all marks (`cancel-in`),
-- so that whoever holds jobs need not ask about each of them while there are no marks at all. A member of that set is
-- the job's whole key.

local function server_now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function put_mark(key, since, marks)
  call('HSET', key, 'cancel', since, 'cancel-in', marks)
  call('ZADD', marks, since, key)
  -- Jobs that are removed by hand leave theirs behind.
  call('PEXPIRE', marks, 7 * 24 * 3600 * 1000)
end

local function is_marked(key)
  return call('HEXISTS', key, 'cancel') == 1
end

-- Of a job that ended in the hands of a client that knows of no marks: a later retry is not to be taken for cancelled.
local function drop_mark(key)
  local marks = call('HGET', key, 'cancel-in')
  if marks then call('ZREM', marks, key) end
  call('HDEL', key, 'cancel', 'cancel-in')
end
