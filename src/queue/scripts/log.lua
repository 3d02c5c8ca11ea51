-- Writes a line into a job's log. KEYS: base. ARGV: id, line, how many lines to keep.
local key = KEYS[1] .. ARGV[1]
if call('EXISTS', key) == 0 then return 0 end
call('RPUSH', key .. ':logs', ARGV[2])
call('LTRIM', key .. ':logs', -tonumber(ARGV[3]), -1)
return 1
