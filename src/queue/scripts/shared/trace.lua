-- Shared: a failure's entry in the job's `stacktrace`, a JSON array of strings. `entry` is JSON text.
-- The array is only lengthened at its end, never decoded; past 64 KiB it begins anew.
local function append_trace(key, entry)
  local old = call('HGET', key, 'stacktrace')
  if old and #old < 65536 and string.sub(old, 1, 2) == '["' and string.sub(old, -2) == '"]' then
    return string.sub(old, 1, -2) .. ',' .. entry .. ']'
  end
  return '[' .. entry .. ']'
end
