-- await_fetch: a submission that holds ids only leaves the queue, and waits until its tool was asked.
--
-- KEYS  1 the stream it waits in  2 ledger  3 the fetch  4 fetches by their next attempt
--       5 fetches by when their lead is routed without  6 metrics
-- ARGV  1 entry  2 group  3 name of the fetch  4 UTC ms of the first attempt  5 UTC ms of when it has waited long enough
--       6 counts where it repeats one that waits (JSON)  7… fields and values of the fetch
-- answers  applied | settled (the queue entry is gone: somebody wrote it)
--          known (the same submission waits already: this entry repeats it and is counted as a duplicate)

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 'settled'
end
local waits = redis.call('EXISTS', KEYS[3]) == 1
local counts = cjson.decode(ARGV[6])

if waits then
  redis.call('HINCRBY', KEYS[2], 'duplicates', 1)
  for field, n in pairs(counts) do
    redis.call('HINCRBY', KEYS[6], field, n)
  end
else
  redis.call('HSET', KEYS[3], unpack(ARGV, 7))
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[3])
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[3])
end
redis.call('XACK', KEYS[1], ARGV[2], ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
if waits then return 'known' end
return 'applied'
