-- What goes on in a queue, for a person: bounded, however long the queue is. Writes nothing.
-- KEYS: base. ARGV: now, how many jobs of each kind, of which list besides the active one ('' = none), how many
-- ended ones times are told of, then spans in ms. Answers { counts, next in line, rates, times, jobs at work,
-- { active without a lock, of so many }, next delayed, marks }.
local LOCKS, LONGEST_DATA = 1000, 65536

local base = KEYS[1]
local now, most, sample = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local meta = fields_of(base, 'meta', 'paused', 'version', 'concurrency')

local counts = {
  call('LLEN', base .. 'wait'), call('LLEN', base .. 'paused'), call('ZCARD', base .. 'prioritized'),
  call('LLEN', base .. 'active'), call('ZCARD', base .. 'delayed'), call('ZCARD', base .. 'completed'),
  call('ZCARD', base .. 'failed'),
}

local rates = {}
for _, state in ipairs({ 'completed', 'failed' }) do
  local first = call('ZRANGE', base .. state, 0, 0, 'WITHSCORES')
  rates[#rates + 1] = tonumber(first[2]) or 0
  for at = 5, #ARGV do
    rates[#rates + 1] = call('ZCOUNT', base .. state, now - tonumber(ARGV[at]), '+inf')
  end
end

local times = {}
for _, id in ipairs(call('ZREVRANGE', base .. 'completed', 0, sample - 1)) do
  local fields = fields_of(base, id, 'timestamp', 'processedOn', 'finishedOn')
  if fields[1] and fields[2] and fields[3] then times[#times + 1] = fields end
end

local jobs = {}
local function tell(list, ids)
  local locks = locks_of(base, ids)
  -- The longest time in the list stands at its end.
  for index = #ids, 1, -1 do
    local id = ids[index]
    local fields = fields_of(base, id, 'name', 'data', 'timestamp', 'processedOn', 'pb')
    if fields[3] then
      if #(fields[2] or '') > LONGEST_DATA then fields[2] = '' end
      local job = { list, id, locks[index] or '', locks[index] and call('PTTL', base .. id .. ':lock') or -2 }
      for at = 1, 5 do job[#job + 1] = fields[at] or '' end
      jobs[#jobs + 1] = job
    end
  end
end
tell('active', call('LRANGE', base .. 'active', -most, -1))
if ARGV[3] ~= '' and #jobs < most then
  tell(ARGV[3], call('LRANGE', base .. ARGV[3], #jobs - most, -1))
end

local looked_at = call('LRANGE', base .. 'active', -LOCKS, -1)
local without = 0
for _, lock in ipairs(locks_of(base, looked_at)) do
  if not lock then without = without + 1 end
end

local delayed = {}
local due = call('ZRANGE', base .. 'delayed', 0, most - 1, 'WITHSCORES')
for index = 1, #due, 2 do
  local fields = fields_of(base, due[index], 'timestamp', 'data', 'atm', 'opts', 'failedReason', 'retries', 'aside')
  if fields[1] then
    if #(fields[2] or '') > LONGEST_DATA then fields[2] = '' end
    local job = { due[index], math.floor(tonumber(due[index + 1]) / 0x1000) }
    for at = 1, 7 do job[#job + 1] = fields[at] or '' end
    delayed[#delayed + 1] = job
  end
end

return { counts, oldest_of(base, now), rates, times, jobs, { without, #looked_at }, delayed,
  { meta[1] and 1 or 0, meta[2] or '', meta[3] or '' } }
