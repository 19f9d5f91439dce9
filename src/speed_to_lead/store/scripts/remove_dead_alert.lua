-- remove_dead_alert: an alert that was given up is forgotten. It stays counted as given up.
--
-- KEYS  1 alerts  2 attempts  3 dead alerts  4 ledger
-- ARGV  1 alert key  2 counter
-- answers  applied | gone (no such dead alert: it was redriven, or removed)

if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then
  return 'gone'
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[4], ARGV[2], 1)
return 'applied'
