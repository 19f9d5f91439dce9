-- redrive_alert: a dead alert goes back to its outbox with its attempts forgotten, but not that it may have arrived.
--
-- KEYS  1 outbox of the destination  2 alerts  3 attempts  4 dead alerts
-- ARGV  1 alert key  2 UTC ms at which it is due
-- answers  applied | gone (no such dead alert)

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 or not redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return 'gone'
end

local unknown = string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', '^%d+:(%d+):')
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], (unknown or '0') == '0' and '0:0:' or '0:1:')
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 'applied'
