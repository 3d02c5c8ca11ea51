-- Cancels a pending job: one that waits is handed straight to finished, one that somebody works on is marked.
-- KEYS: base, the finished queue's base, the key that remembers the correction as done, the set of marks, the set
-- that notes corrections whose container may run nonetheless.
-- ARGV: id, its timestamp and its generation as they were read, token, now, return value, count and age to keep
-- ('' = no limit), ms to remember for, then the finished job (8; without an id there is to be no result), then the
-- correction, how many are noted at most, ms to note them for.
-- Answers { 'cancelled' }, { 'marked', the lock's token }, { 'ended' }, { 'changed' } (it is another job by now) or { 'gone' }.
local queue = open_queue(KEYS[1])
local id, token, now = ARGV[1], ARGV[4], tonumber(ARGV[5])
local key = queue.base .. id
local fields = call('HMGET', key, 'data', 'timestamp', 'gen', 'finishedOn', 'failedReason', 'ats', 'aside')
local done = call('GET', KEYS[3])
-- The reply of a first call may have been lost.
if done == token then return { 'cancelled' } end
if not fields[1] then return { 'gone' } end
if (string.match(fields[2] or '', '^%d+$') or '0') ~= ARGV[2] then return { 'changed' } end
-- A job that another client failed as stalled too often is revived, so it has not ended.
if fields[4] and fields[5] ~= OVER_STALLED then
  drop_mark(key)
  return { 'ended' }
end
if (fields[3] or '0') ~= ARGV[3] then return { 'changed' } end
local holder = call('GET', key .. ':lock')
if holder then
  if not is_marked(key) then put_mark(key, server_now(), KEYS[4]) end
  return { 'marked', holder }
end

local job = read_ending(queue, id)
local result = job_of_arguments(10, now)
-- Refused when Redis is out of memory: what follows is not refused then.
if not done then call('SET', KEYS[3], token, 'PX', ARGV[9]) end
if not done and result.id ~= '' and call('EXISTS', KEYS[2] .. result.id) == 0 then
  add_job(open_queue(KEYS[2]), result)
end
local stood = 0
for _, set in ipairs({ 'prioritized', 'delayed', 'failed', 'waiting-children' }) do
  stood = stood + call('ZREM', queue.base .. set, id)
end
for _, list in ipairs({ 'wait', 'paused', 'active' }) do
  -- From the newest on, as whoever empties the whole line goes.
  if stood == 0 then stood = call('LREM', queue.base .. list, 1, id) end
end
call('SREM', queue.base .. 'stalled', id)
if fields[7] then call('ZREM', fields[7], id) end
call('HDEL', key, 'aside', 'aside-since', 'aside-for', 'failedReason', 'defa')
-- Whoever had it may have started its container, or be about to.
if (tonumber(fields[6]) or 0) > 0 then note(KEYS[5], ARGV[18], now, ARGV[19], ARGV[20]) end
complete(queue, id, job, token, now, ARGV[6], { count = tonumber(ARGV[7]), age = tonumber(ARGV[8]) })
return { done and 'ended' or 'cancelled' }
