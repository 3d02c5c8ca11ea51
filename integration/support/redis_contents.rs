//! All that a test's Redis holds, to look for what must not be in it.

use deadpool_redis::redis;

use super::system::System;

/// Answers with pairs: a key (of a hash with the field's name), and a text that is in it, of whatever type.
const CONTENTS: &str = r"
local found = {}
local function add(key, text)
  found[#found + 1] = key
  found[#found + 1] = text
end
for _, key in ipairs(redis.call('keys', '*')) do
  local kind = redis.call('type', key).ok
  local content = {}
  if kind == 'hash' then
    local fields = redis.call('hgetall', key)
    for at = 1, #fields, 2 do add(key .. ' ' .. fields[at], fields[at + 1]) end
  elseif kind == 'string' then content = { redis.call('get', key) }
  elseif kind == 'list' then content = redis.call('lrange', key, 0, -1)
  elseif kind == 'set' then content = redis.call('smembers', key)
  elseif kind == 'zset' then content = redis.call('zrange', key, 0, -1)
  elseif kind == 'stream' then content = { cjson.encode(redis.call('xrange', key, '-', '+')) }
  else error('a test cannot read a ' .. kind)
  end
  for _, text in ipairs(content) do add(key, text) end
end
return found";

/// A text in Redis.
#[derive(Debug)]
pub struct Content {
    /// Where it stands: a key, and of a hash, behind a space, the field's name.
    pub place: String,
    pub text: String,
}

impl Content {
    /// Whether it is what the caller of a job sent.
    pub fn is_data_of_a_job(&self) -> bool {
        self.place.ends_with(" data")
    }

    /// Whether a text is in it, or in its place.
    pub fn holds(&self, text: &str) -> bool {
        self.text.contains(text) || self.place.contains(text)
    }
}

/// All that is in the Redis of a system, but its members' scores.
pub async fn contents(system: &System) -> Vec<Content> {
    let client = redis::Client::open(("127.0.0.1", system.server.port())).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let found: Vec<Vec<u8>> =
        redis::cmd("EVAL").arg(CONTENTS).arg(0).query_async(&mut connection).await.expect("it can be read");
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let found: Vec<_> =
        found.chunks(2).map(|pair| Content { place: text(&pair[0]), text: text(&pair[1]) }).collect();
    // Each test that looks for something here had jobs: what is not read is not searched.
    for (kind, place) in [("hash", " data"), ("stream", ":events"), ("sorted set", ":completed")] {
        assert!(found.iter().any(|one| one.place.ends_with(place)), "no {kind} was read: {found:?}");
    }
    found
}
