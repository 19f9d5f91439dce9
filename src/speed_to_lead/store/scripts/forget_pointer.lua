-- forget_pointer: drop a person's or company's key that points to no lead.
--
-- KEYS  1 that key  2 the lead it points to  3 ledger
-- ARGV  1 that lead's id  2 counter
-- answers  applied | stale (it points elsewhere by now, or the lead is there)

if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then
  return 'stale'
end

redis.call('DEL', KEYS[1])
redis.call('HINCRBY', KEYS[3], ARGV[2], 1)
return 'applied'
