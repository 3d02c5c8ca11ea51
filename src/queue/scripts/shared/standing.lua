-- Shared: where a correction stands whose container was found.

-- `place`: the keys' beginnings of the memory of what is done, of the pending and of the running
-- queue. Answers 'done', 'live' or 'orphan'; with 'live', the base and id of the job that is to see to it.
local function standing(place, correction, pending_id, timestamp, generation)
  if call('EXISTS', place.done .. correction) == 1 then return 'done' end
  local running = call('HMGET', place.running .. correction, 'timestamp', 'finishedOn', 'failedReason')
  if running[1] then
    -- A job that another client failed as stalled too often is revived, so it has not ended.
    if not running[2] or running[3] == OVER_STALLED then return 'live', place.running, correction end
    if call('ZSCORE', place.running .. 'completed', correction) then return 'done' end
  end
  local pending = call('HMGET', place.pending .. pending_id, 'timestamp', 'finishedOn', 'failedReason', 'gen')
  -- A timestamp that is no number reads as 0, here as everywhere.
  local stamp = pending[1] and (string.match(pending[1], '^%d+$') or '0')
  local same = stamp == timestamp and (pending[4] or '0') == generation
  if same and (not pending[2] or pending[3] == OVER_STALLED) then return 'live', place.pending, pending_id end
  return 'orphan'
end
