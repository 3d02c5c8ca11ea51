-- Tries each command that our scripts use, on keys that are gone afterwards. KEYS: one key beside each of those that
-- we use; nothing may be there. Answers the names of what is refused, each with what Redis says.
local refused = {}
local function try(name, ...)
  local answer = redis.pcall(name, ...)
  if type(answer) == 'table' and answer.err then
    refused[#refused + 1] = { name, answer.err }
  end
end

for _, key in ipairs(KEYS) do
  try('SET', key, '1', 'PX', 10000)
  try('GET', key)
  try('MGET', key)
  try('INCR', key)
  try('INCRBY', key, 1)
  try('DECR', key)
  try('DECRBY', key, 1)
  try('PEXPIRE', key, 10000)
  try('PTTL', key)
  try('EXISTS', key)
  try('DEL', key)
  try('HSET', key, 'a', '1')
  try('HGET', key, 'a')
  try('HMGET', key, 'a')
  try('HEXISTS', key, 'a')
  try('HINCRBY', key, 'a', 1)
  try('HDEL', key, 'a')
  try('DEL', key)
  try('LPUSH', key, '1', '1', '1')
  try('RPUSH', key, '1')
  try('LLEN', key)
  try('LRANGE', key, 0, 0)
  try('LINDEX', key, 0)
  try('LTRIM', key, 0, 1)
  try('LREM', key, 0, '1')
  try('DEL', key)
  try('SADD', key, '1')
  try('SCARD', key)
  try('SREM', key, '1')
  try('DEL', key)
  try('ZADD', key, 1, '1', 2, '2', 3, '3')
  try('ZCARD', key)
  try('ZCOUNT', key, 0, 1)
  try('ZSCORE', key, '1')
  try('ZRANGE', key, 0, 0)
  try('ZREVRANGE', key, 0, 0)
  try('ZRANGEBYSCORE', key, 0, 1)
  try('ZREVRANGEBYSCORE', key, 1, 0)
  try('ZREMRANGEBYRANK', key, 5, 6)
  try('ZREMRANGEBYSCORE', key, 5, 6)
  try('ZREM', key, '1')
  try('ZPOPMIN', key)
  try('DEL', key)
  try('TIME')
  try('XADD', key, 'MAXLEN', '~', 10, '*', 'a', '1')
  try('DEL', key)
end
return refused
