-- How many open jobs of the running queue name which engine. Bounded: of each list so many are read.
-- KEYS: base. ARGV: how many. Answers engine, count, engine, count, …
local base, most = KEYS[1], tonumber(ARGV[1])
local counts = {}
local function count(ids)
  for _, id in ipairs(ids) do
    -- Of what is no job, as somebody may have written, nothing is known.
    local data = redis.pcall('HGET', base .. id, 'data')
    local read, job = pcall(cjson.decode, type(data) == 'string' and data or '')
    local runner = read and type(job) == 'table' and job.runner
    local engine = type(runner) == 'table' and runner.engine
    if type(engine) == 'string' then counts[engine] = (counts[engine] or 0) + 1 end
  end
end
for _, list in ipairs({ 'active', 'wait', 'paused' }) do count(call('LRANGE', base .. list, -most, -1)) end
for _, set in ipairs({ 'prioritized', 'delayed' }) do count(call('ZRANGE', base .. set, 0, most - 1)) end
local answer = {}
for engine, number in pairs(counts) do
  answer[#answer + 1] = engine
  answer[#answer + 1] = number
end
return answer
