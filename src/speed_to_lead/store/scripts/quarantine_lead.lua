-- quarantine_lead: take a lead whose record cannot be worked on out of the clock's way, counted and with its error.
--
-- KEYS  1 due  2 quarantine  3 ledger
-- ARGV  1 lead id  2 error
-- answers  applied | known (it is in quarantine already)

redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) == 0 then
  return 'known'
end
redis.call('HINCRBY', KEYS[3], 'quarantined', 1)
return 'applied'
