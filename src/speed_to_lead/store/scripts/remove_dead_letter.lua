-- remove_dead_letter: a dead letter goes for good, because of whose it is or how old it is. It stays counted as one.
--
-- KEYS  1 ledger  2 the dead letter  3 dead letters by time
-- ARGV  1 submission id  2 counter
-- answers  applied | gone (no such dead letter)

redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('DEL', KEYS[2]) == 0 then
  return 'gone'
end
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
return 'applied'
