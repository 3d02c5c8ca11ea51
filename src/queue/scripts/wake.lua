-- Puts back the wake-ups that a worker may have swallowed when it stopped. KEYS: base.
local queue = open_queue(KEYS[1])
if call('LLEN', queue.base .. 'wait') > 0 or call('ZCARD', queue.base .. 'prioritized') > 0 then wake(queue) end
mark_next_delayed(queue)
return 1
