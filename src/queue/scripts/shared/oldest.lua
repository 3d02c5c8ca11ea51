-- Shared: which job waits for the longest time, in line or aside. Bounded, however many wait.
--
-- Who stands aside, or was put off by a worker, is a delayed job for other clients, and waits all the same. A job whose
-- producer wants it later, or whose attempt failed, waits only once its time has come.
local NEXT_IN_LINE, PUT_OFF, SETS = 20, 250, 25

-- Of what is no job, as somebody may have written, nothing is known.
local function fields_of(base, id, ...)
  local fields = redis.pcall('HMGET', base .. id, ...)
  return fields.err and {} or fields
end

-- Its id and when it was added; empty where none waits. Looks at those that come next in each list, and behind which all
-- others stand; at some of those that are put off, from both ends; and at the first of some sets in which these stand.
local function oldest_of(base, now)
  local oldest = {}
  local function compare(id, timestamp)
    timestamp = tonumber(timestamp)
    if timestamp and (not oldest[2] or timestamp < oldest[2]) then oldest = { id, timestamp } end
  end
  local function look(ids)
    for _, id in ipairs(ids) do compare(id, fields_of(base, id, 'timestamp')[1]) end
  end
  for _, list in ipairs({ 'wait', 'paused' }) do
    look(call('LRANGE', base .. list, -NEXT_IN_LINE, -1))
  end
  look(call('ZRANGE', base .. 'prioritized', 0, NEXT_IN_LINE - 1))

  local sets, known = {}, 0
  local function look_at_put_off(delayed)
    for at = 1, #delayed, 2 do
      local fields = fields_of(base, delayed[at], 'timestamp', 'aside', 'tried-for')
      local is_due = math.floor(tonumber(delayed[at + 1]) / 0x1000) <= now
      if fields[2] or fields[3] or is_due then compare(delayed[at], fields[1]) end
      if fields[2] and not sets[fields[2]] and known < SETS then
        sets[fields[2]], known = true, known + 1
      end
    end
  end
  look_at_put_off(call('ZRANGE', base .. 'delayed', 0, PUT_OFF - 1, 'WITHSCORES'))
  if call('ZCARD', base .. 'delayed') > PUT_OFF then
    look_at_put_off(call('ZREVRANGE', base .. 'delayed', 0, PUT_OFF - 1, 'WITHSCORES'))
  end
  for aside in pairs(sets) do
    local first = redis.pcall('ZRANGE', aside, 0, NEXT_IN_LINE - 1)
    for _, id in ipairs(first.err and {} or first) do
      local fields = fields_of(base, id, 'timestamp', 'aside')
      -- One that a person moved or removed left its place behind.
      if fields[2] == aside and call('ZSCORE', base .. 'delayed', id) then compare(id, fields[1]) end
    end
  end
  return oldest
end
