-- quarantine_lead: take a lead whose record cannot be worked on out of the clock's way, counted and with its error.
--
-- KEYS  1 due  2 quarantine  3 ledger  4 alerts  5 attempts  6 outboxes  7 outbox of the alert's destination  8 the lead
-- ARGV  1 lead id  2 error  3 key of the alert that says so, or ''  4 its document  5 its destination  6 UTC ms
-- answers  applied | known (it is in quarantine already; nobody is told again)
--          gone (it has no record any more: it was removed meanwhile, and no clock need look for it)

redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[8]) == 0 then
  return 'gone'
end
if redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) == 0 then
  return 'known'
end
redis.call('HINCRBY', KEYS[3], 'quarantined', 1)
if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[4], ARGV[3]) == 0 then
  redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
  redis.call('HSET', KEYS[5], ARGV[3], '0:0:')
  redis.call('ZADD', KEYS[7], ARGV[6], ARGV[3])
  redis.call('SADD', KEYS[6], ARGV[5])
end
return 'applied'
