-- drop_submission: a duplicate or a test leaves the queue and is counted.
--
-- KEYS  1 queue  2 ledger  3 seen:<submission id>  4 metrics
-- ARGV  1 entry  2 group  3 counter  4 lead it repeats, or ''  5 ms to remember that
--       6 counts for the metrics (JSON)
-- answers  applied | settled (the queue entry is gone: somebody wrote it)

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 'settled'
end
local counts = cjson.decode(ARGV[6])

redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
for field, n in pairs(counts) do
  redis.call('HINCRBY', KEYS[4], field, n)
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])
end
redis.call('XACK', KEYS[1], ARGV[2], ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
return 'applied'
