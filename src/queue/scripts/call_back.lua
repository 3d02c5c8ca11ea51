-- Puts the first jobs that stand aside in front of the line.
-- KEYS: base, where they stand. ARGV: how many at most. Answers how many there were.
return call_back(open_queue(KEYS[1]), KEYS[2], tonumber(ARGV[1]))
