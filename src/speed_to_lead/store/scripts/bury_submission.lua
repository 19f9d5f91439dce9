-- bury_submission: a submission that cannot be read leaves the queue and is kept as a dead letter.
--
-- KEYS  1 queue  2 ledger  3 the dead letter  4 dead letters by time
-- ARGV  1 entry  2 group  3 submission id  4 UTC ms now  5… fields and values of the dead letter
-- answers  applied | settled (the queue entry is gone: somebody wrote it)
--          known (a dead letter of that id is kept already: this entry repeats it and is counted as a duplicate)

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 'settled'
end
local known = redis.call('EXISTS', KEYS[3]) == 1

if known then
  redis.call('HINCRBY', KEYS[2], 'duplicates', 1)
else
  redis.call('HSET', KEYS[3], unpack(ARGV, 5))
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[3])
  redis.call('HINCRBY', KEYS[2], 'dead_letters', 1)
end
redis.call('XACK', KEYS[1], ARGV[2], ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
if known then return 'known' end
return 'applied'
