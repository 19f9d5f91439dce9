-- remove_submission: a submission leaves the queue unread. For the books it is a dead letter that was thrown away.
--
-- KEYS  1 queue  2 ledger  3 metrics
-- ARGV  1 entry  2 group  3 counter  4 counts for the metrics (JSON)
-- answers  applied | gone (a router settled it: look for what it became)

if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then
  return 'gone'
end
redis.pcall('XACK', KEYS[1], ARGV[2], ARGV[1]) -- there is no group before the first router comes
redis.call('HINCRBY', KEYS[2], 'dead_letters', 1)
redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
for field, n in pairs(cjson.decode(ARGV[4])) do
  redis.call('HINCRBY', KEYS[3], field, n)
end
return 'applied'
