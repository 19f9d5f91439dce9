-- mend_alert: put one alert where it is claimed, or take a place without an alert out of its outbox.
--
-- KEYS  1 outbox of the destination  2 its leases  3 alerts  4 attempts  5 dead alerts  6 outboxes
--       7 the lead  8 ledger
-- ARGV  1 alert key  2 destination  3 whether it was kept (1 or 0)  4 UTC ms it was due, or ''
--       5 UTC ms its lease was to end, or ''  6 whether it was dead (1 or 0)
--       7 UTC ms to be due at, or '' to stay  8 line for the lead's history  9 counter
-- answers  applied | stale (it does not stand as it was seen: somebody worked on it)

local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
local lease = redis.call('ZSCORE', KEYS[2], ARGV[1])
local dead = redis.call('ZSCORE', KEYS[5], ARGV[1])
if redis.call('HEXISTS', KEYS[3], ARGV[1]) ~= tonumber(ARGV[3])
  or tonumber(due or '-1') ~= tonumber(ARGV[4] ~= '' and ARGV[4] or '-1')
  or tonumber(lease or '-1') ~= tonumber(ARGV[5] ~= '' and ARGV[5] or '-1')
  or (dead and 1 or 0) ~= tonumber(ARGV[6]) then
  return 'stale'
end

if ARGV[3] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  if ARGV[7] ~= '' then
    redis.call('ZADD', KEYS[1], ARGV[7], ARGV[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
  end
  redis.call('SADD', KEYS[6], ARGV[2])
end
if redis.call('TYPE', KEYS[7]).ok == 'list' then
  redis.call('RPUSH', KEYS[7], ARGV[8])
end
redis.call('HINCRBY', KEYS[8], ARGV[9], 1)
return 'applied'
