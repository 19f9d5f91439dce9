-- unlist_lead: take a lead that has no record out of the open leads, the index and those that wait for a rep.
--
-- KEYS  1 lead  2 open leads  3 due  4 ledger  5 leads that wait for a rep  6 their teams
-- ARGV  1 lead id  2 counter
-- answers  applied | stale (there is a record)

if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'stale'
end

redis.call('SREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
redis.call('HINCRBY', KEYS[4], ARGV[2], 1)
return 'applied'
