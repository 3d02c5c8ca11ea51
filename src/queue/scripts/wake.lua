-- Puts back the wake-ups that a worker may have swallowed when it stopped. KEYS: base.
local queue = open_queue(KEYS[1])
if has_line(queue) then wake(queue) end
mark_next_delayed(queue)
return 1
