-- Compares a set of permits with the containers that run.
-- KEYS: the set, the pending and the running queue's base, the beginning of the done keys.
-- ARGV: now, 'house' or 'rule', ms for which a permit is left alone, then correction and pending job's id
-- of each container that runs, by turns. Answers how many permits were dropped, and how many were added.
local set, pending, running, done = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, is_house, grace = tonumber(ARGV[1]), ARGV[2] == 'house', tonumber(ARGV[3])
local field = is_house and 'permit' or 'rule-permit'
local living = {}
for at = 4, #ARGV, 2 do living[ARGV[at]] = true end

local dropped, added = {}, 0
local members = call('ZRANGE', set, 0, -1, 'WITHSCORES')
for at = 1, #members, 2 do
  local member, age = members[at], now - tonumber(members[at + 1]) % RUNNING_SINCE
  local id = string.match(member, '^job:(.*)$')
  local job = call('HMGET', id and pending .. id or running .. member, field, 'finishedOn', 'failedReason', 'data')
  -- A job that another client failed as stalled too often is revived, so it has not ended.
  local is_open = job[4] and (not job[2] or job[3] == OVER_STALLED) and (not id or job[1] == set)
  -- What a clock put into the future is as old as if it had been put into the past.
  if not (is_open or living[member]) and math.abs(age) >= grace then
    dropped[#dropped + 1] = member
  end
end
for _, member in ipairs(dropped) do call('ZREM', set, member) end

for at = 4, #ARGV, 2 do
  local correction, key = ARGV[at], running .. ARGV[at]
  if not call('ZSCORE', set, correction) and not call('ZSCORE', set, 'job:' .. ARGV[at + 1])
    and call('EXISTS', done .. correction) == 0 then
    local open = call('HMGET', key, 'data', 'finishedOn', field)
    if is_house or open[3] == set then
      call('ZADD', set, RUNNING_SINCE + now, correction)
      if open[1] and not open[2] then call('HSET', key, field, set, 'line', pending) end
      added = added + 1
    end
  end
end
if #dropped > 0 then
  if is_house then wake_house(set) else call_back(open_queue(pending), aside_of(set), #dropped) end
end
return { #dropped, added }
