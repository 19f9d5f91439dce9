-- unlist_lead: take a lead that has no record out of the open leads and the index.
--
-- KEYS  1 lead  2 open leads  3 due  4 ledger
-- ARGV  1 lead id  2 counter
-- answers  applied | stale (there is a record)

if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'stale'
end

redis.call('SREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[4], ARGV[2], 1)
return 'applied'
