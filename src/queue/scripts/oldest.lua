-- When the job was added that waits for the longest time; nothing where none waits. KEYS: base. ARGV: now.
return oldest_of(KEYS[1], tonumber(ARGV[1]))[2] or false
