-- How many jobs are in which state. KEYS: base.
local base = KEYS[1]
return {
  call('LLEN', base .. 'wait') + call('LLEN', base .. 'paused'),
  call('ZCARD', base .. 'prioritized'), call('LLEN', base .. 'active'), call('ZCARD', base .. 'delayed'),
  call('ZCARD', base .. 'completed'), call('ZCARD', base .. 'failed'),
  call('HEXISTS', base .. 'meta', 'paused'),
}
