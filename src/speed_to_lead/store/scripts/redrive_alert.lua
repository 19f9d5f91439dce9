-- redrive_alert: a dead alert goes back to its outbox with its attempts forgotten.
--
-- KEYS  1 outbox of the destination  2 alerts  3 attempts  4 dead alerts
-- ARGV  1 alert key  2 UTC ms at which it is due
-- answers  applied | gone (no such dead alert)

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 or not redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return 'gone'
end

redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], '0:0:')
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 'applied'
