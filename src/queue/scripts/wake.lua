-- Puts back the wake-ups that a worker may have swallowed when it stopped. KEYS: base, and the engine's
-- permits where they are counted.
local queue = open_queue(KEYS[1])
if has_line(queue) then wake(queue) end
mark_next_delayed(queue)
if KEYS[2] then wake_house(KEYS[2]) end
return 1
