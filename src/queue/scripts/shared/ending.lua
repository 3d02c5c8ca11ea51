-- Shared: how a job leaves the active list, and what its end means for others.

-- Takes a job whose lock holds our token out of the active list. Where it is not there, and is not at
-- all, somebody emptied the queue by hand: false, and nothing was changed. Where only the list was
-- deleted, the lock still tells whose it is.
local function leave_active(queue, id, token)
  local lock = queue.base .. id .. ':lock'
  -- Changes nothing, and is refused when Redis is out of memory: what follows is not refused then.
  call('SET', lock, token, 'KEEPTTL')
  if call('LREM', queue.base .. 'active', -1, id) == 0 and call('EXISTS', queue.base .. id) == 0 then
    return false
  end
  call('DEL', lock)
  call('SREM', queue.base .. 'stalled', id)
  return true
end

local function delete_jobs(queue, ids)
  local keys = {}
  for _, id in ipairs(ids) do
    local key = queue.base .. id
    for _, ending in ipairs({ '', ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }) do
      keys[#keys + 1] = key .. ending
    end
  end
  call('DEL', unpack(keys))
end

-- Removes ended jobs beyond what is to be kept, at most 100 for each limit in a call. `keep`: `count` and
-- `age` (s), empty = no such limit; `young` (ms): what ended no longer ago stays beyond the count, up to
-- `most`. Ids and data of what was removed are added to `keep.gone`, where that is.
local function retire(queue, state, now, keep)
  local set = queue.base .. state
  local function remove(ids)
    if #ids == 0 then return end
    for _, id in ipairs(keep.gone and ids or {}) do
      keep.gone[#keep.gone + 1] = id
      keep.gone[#keep.gone + 1] = call('HGET', queue.base .. id, 'data') or ''
    end
    delete_jobs(queue, ids)
    call('ZREM', set, unpack(ids))
  end
  if keep.age then
    remove(call('ZRANGEBYSCORE', set, '-inf', now - keep.age * 1000, 'LIMIT', 0, 100))
  end
  local function remove_beyond(count, highest)
    local excess = math.min(call('ZCARD', set) - count, 100)
    if excess > 0 then remove(call('ZRANGEBYSCORE', set, '-inf', highest, 'LIMIT', 0, excess)) end
  end
  if keep.count then remove_beyond(keep.count, keep.young and now - keep.young or '+inf') end
  if keep.most then remove_beyond(keep.most, '+inf') end
end

-- Writes a line into the log of a job that is still there, which keeps its last `most` lines.
local function write_log(queue, id, line, most)
  if line == '' or call('EXISTS', queue.base .. id) == 0 then return end
  call('RPUSH', queue.base .. id .. ':logs', line)
  call('LTRIM', queue.base .. id .. ':logs', -most, -1)
end

-- A deduplication key without a time of its own is held until its job ends. With
-- `keepLastIfActive` (6.x) the last job that was refused meanwhile is added now.
local function release_deduplication(queue, deduplication, id, now)
  local key = queue.base .. 'de:' .. deduplication
  local left = call('PTTL', key)
  if left == 0 or (left == -1 and call('GET', key) == id) then call('DEL', key) end

  local kept = queue.base .. 'dn:' .. deduplication
  local fields = call('HMGET', kept, 'name', 'data', 'opts', 'pk', 'pd', 'pdk', 'rjk', 'jid')
  if not fields[1] then return end
  local number = call('INCR', queue.base .. 'id')
  local options = cjson.decode(fields[3])
  local own = type(options.de) == 'table' and options.de or {}
  local more = { 'deid', deduplication }
  for index, field in pairs({ [4] = 'parentKey', [5] = 'parent', [7] = 'rjk' }) do
    if fields[index] then
      more[#more + 1] = field
      more[#more + 1] = fields[index]
    end
  end
  local next_id = fields[8] or tostring(number)
  if own.ttl and not own.keepLastIfActive then
    call('SET', key, next_id, 'PX', own.ttl)
  else
    call('SET', key, next_id)
  end
  add_job(queue, {
    id = next_id, name = fields[1], data = fields[2], opts = fields[3], now = now,
    delay = tonumber(options.delay) or 0, priority = tonumber(options.priority) or 0,
    lifo = options.lifo, more = more,
  })
  if fields[6] then call('SADD', fields[6], queue.base .. next_id) end
  call('DEL', kept)
end

-- Lets a parent that waits for its children go on.
local function release_parent(parent, id, now)
  if call('ZREM', parent.base .. 'waiting-children', id) == 0 then return end
  local fields = call('HMGET', parent.base .. id, 'priority', 'delay')
  local delay = tonumber(fields[2]) or 0
  if delay > 0 then
    push_delayed(parent, id, now + delay)
  else
    local priority = tonumber(fields[1]) or 0
    if priority > 0 then push_by_priority(parent, id, priority) else push_first(parent, id, 0) end
    emit(parent, 'waiting', id, 'prev', 'waiting-children')
    wake(parent)
  end
end

-- Tells the parent of a flow that a child ended. What a failed child means stands in the parent's
-- record (6.x) or in the child's own options (5.12): fpof, cpof, idof or rdof.
local function tell_parent(job_key, parent_key, state, value, now)
  local record = call('HMGET', job_key, 'parent', 'opts')
  local parent = record[1] and cjson.decode(record[1]) or {}
  local id = parent.id or string.match(parent_key, '([^:]*)$')
  local rule = {}
  if state == 'failed' then
    local readable, options = pcall(cjson.decode, record[2] or '{}')
    if not readable or type(options) ~= 'table' then options = {} end
    for _, name in ipairs({ 'fpof', 'cpof', 'idof', 'rdof' }) do
      rule[name] = parent[name] or options[name]
    end
    if not (rule.fpof or rule.cpof or rule.idof or rule.rdof) then return end
  end
  if call('SREM', parent_key .. ':dependencies', job_key) == 0 then return end
  if call('EXISTS', parent_key) == 0 then return end
  local target = open_queue(string.sub(parent_key, 1, #parent_key - #id))
  if state == 'completed' then
    call('HSET', parent_key .. ':processed', job_key, value)
  elseif rule.fpof then
    call('ZADD', parent_key .. ':unsuccessful', now, job_key)
    call('HSET', parent_key, 'defa', 'child ' .. job_key .. ' failed')
  elseif rule.cpof or rule.idof then
    call('HSET', parent_key .. ':failed', job_key, value)
  end
  if rule.fpof or rule.cpof or call('SCARD', parent_key .. ':dependencies') == 0 then
    release_parent(target, id, now)
  end
end

-- Ends a job that has left the active list. `job` holds the hash's fields atm, deid, parentKey, permits and marks;
-- `more` further fields to be set; `keep` what is to be kept (see `retire`).
local function finish(queue, id, job, now, state, field, value, more, keep)
  local key = queue.base .. id
  if job.permits then give_up(queue, id, job.permits) end
  if job.marks then
    call('ZREM', job.marks, key)
    call('HDEL', key, 'cancel', 'cancel-in')
  end
  if job.deid then release_deduplication(queue, job.deid, id, now) end
  if job.parent_key then tell_parent(key, job.parent_key, state, value, now) end
  local made = (tonumber(job.atm) or 0) + 1
  if keep.count == 0 and not keep.young then
    if keep.gone then keep.gone = { id, call('HGET', key, 'data') or '' } end
    delete_jobs(queue, { id })
  else
    call('HSET', key, field, value, 'finishedOn', now, 'atm', made, unpack(more))
    -- A client of BullMQ that retries it leaves this as it is: it is tried anew.
    call('HDEL', key, 'tried-for')
    call('ZADD', queue.base .. state, now, id)
    retire(queue, state, now, keep)
  end
  emit(queue, state, id, field, value, 'prev', 'active')
  if call('LLEN', queue.base .. 'wait') == 0 and call('LLEN', queue.base .. 'active') == 0
    and call('ZCARD', queue.base .. 'prioritized') == 0 then
    call('XADD', queue.base .. 'events', '*', 'event', 'drained')
  end
  return made
end

-- A completed job counts as one generation more, so that a retry by hand is a new correction; what
-- our own retries noted is over; `retrying-since` is what they noted in a version before this one.
local function complete(queue, id, job, token, now, value, keep)
  local key = queue.base .. id
  if job.retries then call('HDEL', key, 'retries', 'retrying-since') end
  finish(queue, id, job, now, 'completed', 'returnvalue', value,
    { 'gen', (tonumber(job.gen) or 0) + 1, 'ended-by', token }, keep)
end

-- What an end needs to know of a job, and whether this take owns it.
local function read_ending(queue, id)
  local key = queue.base .. id
  local fields = call('HMGET', key, 'atm', 'gen', 'deid', 'parentKey', 'retries', 'ended-by', 'permit',
    'rule-permit', 'line', 'cancel', 'cancel-in')
  return {
    lock = call('GET', key .. ':lock'),
    atm = fields[1], gen = fields[2], deid = fields[3], retries = fields[5], ended_by = fields[6],
    parent_key = fields[4] and fields[4] ~= '' and fields[4], permits = permits_of(fields, 7),
    marked_since = fields[10], marks = fields[10] and fields[11],
  }
end
