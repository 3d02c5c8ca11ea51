-- Shared: permits to have a container running, and jobs that are put aside until one may be had.
--
-- A set of permits is a sorted set by time: of an engine (all its containers), or of a rule on it. A
-- member is `job:<id>` of a pending job, and the correction's id from the hand-over to running on. The
-- hash of either job names the sets (`permit`, `rule-permit`) and what the keys of the queue start with
-- whose workers wait for them (`line`): so whoever ends the job gives its permits up, whatever it knows.
--
-- A pending job keeps its permit wherever it goes without having been settled: its container may run.

-- Permits of running corrections stand behind those of jobs that are being started.
local RUNNING_SINCE = 100000000000000

-- From the fields 'permit', 'rule-permit' and 'line' of a hash, in this order; nil where there is none.
local function permits_of(fields, at)
  if not (fields[at] or fields[at + 1]) then return nil end
  return { house = fields[at] or nil, rule = fields[at + 1] or nil, line = fields[at + 2] }
end

-- How a job of a queue is called in its sets.
local function member_of(queue, id, permits)
  return queue.base == permits.line and 'job:' .. id or id
end

-- Wakes one of the workers that wait for room on an engine.
local function wake_house(house)
  call('ZADD', house .. ':marker', 0, '0')
end

-- The same for jobs that are in line again and have a permit: for them there is room.
local function wake_holders(queue, ids)
  local houses = {}
  for _, id in ipairs(ids) do
    local fields = call('HMGET', queue.base .. id, 'permit', 'line')
    if fields[1] and fields[2] == queue.base then houses[fields[1]] = true end
  end
  for house in pairs(houses) do wake_house(house) end
end

-- Where those stand who wait for a permit of a rule.
local function aside_of(rule)
  return rule .. ':aside'
end

-- Puts the first jobs that stand aside in front of the line, at most so many; answers how many.
local function call_back(queue, aside, most)
  local ids = {}
  while #ids < most do
    local first = call('ZPOPMIN', aside, most - #ids)
    if #first == 0 then break end
    for at = 1, #first, 2 do
      local id = first[at]
      -- One that a person moved or removed stands elsewhere, or nowhere.
      if call('HGET', queue.base .. id, 'aside') == aside and call('ZREM', queue.base .. 'delayed', id) == 1 then
        ids[#ids + 1] = id
      end
    end
  end
  for index = #ids, 1, -1 do
    local key = queue.base .. ids[index]
    push_first(queue, ids[index], tonumber(call('HGET', key, 'priority')) or 0)
    call('HSET', key, 'delay', 0)
    emit(queue, 'waiting', ids[index], 'prev', 'delayed')
  end
  if #ids > 0 then wake(queue) end
  return #ids
end

-- Gives up what a job has, and lets others have it.
local function give_up(queue, id, permits)
  local member = member_of(queue, id, permits)
  if permits.house and call('ZREM', permits.house, member) == 1 then wake_house(permits.house) end
  if permits.rule and call('ZREM', permits.rule, member) == 1 then
    call_back(open_queue(permits.line), aside_of(permits.rule), 1)
  end
  call('HDEL', queue.base .. id, 'permit', 'rule-permit', 'line')
end

-- From now on the running correction has what its pending job had. Answers the fields that say so.
local function pass_on(queue, id, permits, correction, now)
  local more = {}
  for field, set in pairs({ ['permit'] = permits.house, ['rule-permit'] = permits.rule }) do
    call('ZREM', set, 'job:' .. id)
    call('ZADD', set, RUNNING_SINCE + now, correction)
    more[#more + 1] = field
    more[#more + 1] = set
  end
  more[#more + 1] = 'line'
  more[#more + 1] = permits.line
  call('HDEL', queue.base .. id, 'permit', 'rule-permit', 'line')
  return more
end

-- Puts a job that has left the active list aside, in the order in which jobs were added.
local function put_aside(queue, id, aside, now, delay, counts)
  local key = queue.base .. id
  local fields = call('HMGET', key, 'priority', 'timestamp')
  local priority = math.min(tonumber(fields[1]) or 0, 2047)
  call('ZADD', aside, priority * 0x40000000000 + (tonumber(fields[2]) or now), id)
  -- Jobs that are removed by hand leave their place behind.
  call('PEXPIRE', aside, 7 * 24 * 3600 * 1000)
  call('HSET', key, 'delay', delay, 'aside', aside)
  if counts then
    call('HSET', key, 'aside-since', now, 'aside-for', delay)
  else
    call('HDEL', key, 'aside-since', 'aside-for')
  end
  push_delayed(queue, id, now + delay)
end
