-- discard_dead_letter: somebody looked at it and wants nothing of it. It stays counted as a dead letter.
--
-- KEYS  1 ledger  2 the dead letter  3 dead letters by time
-- ARGV  1 submission id
-- answers  applied | gone (no such dead letter)

if redis.call('EXISTS', KEYS[2]) == 0 then
  return 'gone'
end

redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'discarded', 1)
return 'applied'
