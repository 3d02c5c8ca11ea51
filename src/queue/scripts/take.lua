-- Takes the next jobs, one for each token: due delayed ones join the line, then the line, then those
-- with a priority. Where containers are counted, no more than there is room for; what has a permit
-- already, since whoever had it died or stopped, comes first and needs no room.
-- KEYS: base, and the engine's permits where they are counted. ARGV: now, ms of a lock, worker's name,
-- limiter's max and duration ('' = none), how many permits there are, tokens.
-- Answers { ms the limiter still closes, time of the next delayed job, state, job, job, … }, where
-- state is 'more', 'empty', 'closed' (paused or limited), 'full' (the queue's own concurrency) or
-- 'crowded' (no permit), and a job is its id and its fields in the order of FIELDS.
local FIELDS = { 'name', 'data', 'opts', 'timestamp', 'atm', 'gen', 'stc', 'stalledCounter', 'defa',
  'tried-for', 'retries', 'cancel', 'ats', 'permit', 'line', 'aside', 'aside-since', 'aside-for' }
local FIRST_TOKEN = 7
local DEFA, TRIED_FOR, ATS, PERMIT, LINE, ASIDE, ASIDE_SINCE, ASIDE_FOR = 9, 10, 13, 14, 15, 16, 17, 18

local queue = open_queue(KEYS[1])
local base, house = queue.base, KEYS[2]
local now = tonumber(ARGV[1])
local wanted = #ARGV - FIRST_TOKEN + 1

local next_at = 0
local delayed = call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')
if delayed[2] then
  next_at = math.floor(tonumber(delayed[2]) / 0x1000)
  if next_at <= now then
    local due = call('ZRANGEBYSCORE', base .. 'delayed', 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1000)
    local first = {}
    for _, id in ipairs(due) do
      local fields = call('HMGET', base .. id, 'priority', 'permit', 'aside')
      local priority = tonumber(fields[1]) or 0
      if fields[2] or fields[3] then
        -- It had its turn before, and had to wait for something else.
        first[#first + 1] = { id, priority }
        if fields[3] then call('ZREM', fields[3], id) end
      else
        push_last(queue, id, priority, false)
      end
      if call('EXISTS', base .. id) == 1 then call('HSET', base .. id, 'delay', 0) end
      emit(queue, 'waiting', id, 'prev', 'delayed')
    end
    for index = #first, 1, -1 do push_first(queue, first[index][1], first[index][2]) end
    call('ZREM', base .. 'delayed', unpack(due))
    -- More than we take: the others wake for them.
    if #due > wanted then wake(queue) end
    delayed = call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')
    next_at = delayed[2] and math.floor(tonumber(delayed[2]) / 0x1000) or 0
  end
end

-- BullMQ's limiter: a counter that lives as long as its window. The queue's own setting (6.x) wins.
local limiter, max = base .. 'limiter', queue.rate_max or tonumber(ARGV[4])
local duration = tonumber(ARGV[5]) or queue.rate_duration
if max then
  local left = max - (tonumber(call('GET', limiter)) or 0)
  if left <= 0 then
    local closed_for = call('PTTL', limiter)
    if closed_for > 0 then return { closed_for, next_at, 'closed' } end
    call('DEL', limiter)
    left = max
  end
  wanted = math.min(wanted, left)
end
if queue.paused then return { 0, next_at, 'closed' } end
if queue.concurrency then
  local room = queue.concurrency - call('LLEN', base .. 'active')
  if room <= 0 then return { 0, next_at, 'full' } end
  wanted = math.min(wanted, room)
end

local jobs, ids, exhausted = {}, {}, false
-- Reads a job; an id whose hash is gone, or is something else, is dropped from the line.
local function choose(id)
  local fields = redis.pcall('HMGET', base .. id, unpack(FIELDS))
  if fields.err or not (fields[1] or fields[2] or fields[4]) then return end
  ids[#ids + 1] = id
  jobs[#jobs + 1] = fields
end

-- Jobs that hold a permit and stand in line. They are few: of those that hold one, the others are
-- being started, and locked, or wait for their time.
local function choose_holders()
  local members = call('ZRANGEBYSCORE', house, '-inf', '(' .. RUNNING_SINCE, 'LIMIT', 0, 1000)
  local holders = {}
  for index, member in ipairs(members) do holders[index] = string.match(member, '^job:(.*)$') end
  local locks = locks_of(base, holders)
  for index, id in ipairs(holders) do
    if #ids == wanted then return end
    if not locks[index] and call('EXISTS', base .. id) == 1 and call('HEXISTS', base .. id, 'finishedOn') == 0
      and not call('ZSCORE', base .. 'delayed', id)
      and call('ZREM', base .. 'prioritized', id) + call('LREM', base .. 'wait', -1, id)
        + call('LREM', base .. 'paused', -1, id) > 0 then
      choose(id)
    end
  end
end

if house then
  choose_holders()
  local room = tonumber(ARGV[6]) - call('ZCARD', house)
  if room <= 0 and #ids == 0 then
    -- Whoever has room elsewhere, and did not get this wake-up.
    if has_line(queue) then wake(queue) end
    return { 0, next_at, 'crowded' }
  end
  wanted = math.min(wanted, #ids + math.max(room, 0))
end

-- `paused` first: what a resume left there, or a client of the other version put there. A line that
-- gave as many ids as were asked for may have more, even if their jobs are gone and nothing was
-- chosen: what comes after that line waits for the next take, which follows at once.
local seen, cut_off = {}, #ids >= wanted
for _, list in ipairs({ 'paused', 'wait' }) do
  if not cut_off then
    local line = call('LRANGE', base .. list, #ids - wanted, -1)
    cut_off = #line == wanted - #ids
    for index = #line, 1, -1 do choose(line[index]) end
    seen[list] = #line
  end
end
local prioritized = {}
if not cut_off then
  prioritized = call('ZRANGE', base .. 'prioritized', 0, wanted - #ids - 1)
  exhausted = #prioritized < wanted - #ids
  for _, id in ipairs(prioritized) do choose(id) end
end

local answer = { 0, next_at, exhausted and 'empty' or 'more' }
if #ids > 0 then call('LPUSH', base .. 'active', unpack(ids)) end
for list, count in pairs(seen) do
  if count > 0 then call('LTRIM', base .. list, 0, -(count + 1)) end
end
if #prioritized > 0 then call('ZREM', base .. 'prioritized', unpack(prioritized)) end

for index, id in ipairs(ids) do
  local fields = jobs[index]
  local key = base .. id
  call('SET', key .. ':lock', ARGV[FIRST_TOKEN + index - 1], 'PX', ARGV[2])
  if house then
    if fields[PERMIT] and fields[PERMIT] ~= house and call('ZREM', fields[PERMIT], 'job:' .. id) == 1 then
      wake_house(fields[PERMIT])
    end
    call('ZADD', house, now, 'job:' .. id)
    call('HSET', key, 'permit', house, 'line', base)
  end
  if fields[ASIDE] then
    call('ZREM', fields[ASIDE], id)
    call('HDEL', key, 'aside', 'aside-since', 'aside-for')
    if fields[ASIDE_SINCE] then
      local waited = math.min(now - tonumber(fields[ASIDE_SINCE]), tonumber(fields[ASIDE_FOR]) or 0)
      fields[TRIED_FOR] = call('HINCRBY', key, 'tried-for', math.max(waited, 0))
    end
  end
  call('HSET', key, 'processedOn', now, 'ats', (tonumber(fields[ATS]) or 0) + 1, 'pb', ARGV[3])
  if fields[DEFA] then call('HDEL', key, 'defa') end
  emit(queue, 'active', id, 'prev', 'waiting')
  table.insert(fields, 1, id)
  answer[#answer + 1] = fields
end

if max and #ids > 0 and call('INCRBY', limiter, #ids) == #ids then
  call('PEXPIRE', limiter, math.max(1, math.floor(duration or 1000)))
end
-- Whoever is idle takes what we leave.
if not exhausted and has_line(queue) then
  wake(queue)
  if house and call('ZCARD', house) < tonumber(ARGV[6]) then wake_house(house) end
end
return answer
