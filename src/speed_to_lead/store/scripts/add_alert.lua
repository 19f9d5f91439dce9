-- add_alert: put one alert that no lead's change carries (about the system) into the outbox, once.
--
-- KEYS  1 outbox of the destination  2 alerts  3 attempts  4 outboxes
-- ARGV  1 destination  2 alert key  3 document  4 UTC ms at which it is due
-- answers  applied | known (an alert of that key is waiting or dead)

if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  return 'known'
end

redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[2], '0:0:')
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[2])
redis.call('SADD', KEYS[4], ARGV[1])
return 'applied'
