-- How many open jobs of the running queue name which engine. Bounded: of each list so many are read, and of all of
-- them 4 MiB.
-- KEYS: base. ARGV: how many. Answers engine, count, engine, count, …
local base, most, left = KEYS[1], tonumber(ARGV[1]), 4 * 1024 * 1024
local counts = {}
local function count(ids)
  for _, id in ipairs(ids) do
    -- Of what is no job, as somebody may have written, nothing is known.
    local length = redis.pcall('HSTRLEN', base .. id, 'data')
    local fits = type(length) == 'number' and length <= left
    if fits then left = left - length end
    local read, job = pcall(cjson.decode, fits and call('HGET', base .. id, 'data') or '')
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
