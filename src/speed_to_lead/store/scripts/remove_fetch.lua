-- remove_fetch: nobody is asked any more who a submission is that holds ids only; it goes, as its lead or person does.
--
-- KEYS  1 the fetch  2 fetches by their next attempt  3 fetches by when their lead is routed without  4 ledger  5 metrics
-- ARGV  1 name  2 counter  3 counts for the metrics where it was never routed (JSON)
-- answers  applied | gone (its tool has answered, or it was given up: look for what it became)
--
-- One that was never routed is for the books a dead letter that was thrown away; of another one its lead is counted.

redis.call('ZREM', KEYS[2], ARGV[1])
local waited = redis.call('ZREM', KEYS[3], ARGV[1]) == 1
if redis.call('DEL', KEYS[1]) == 0 then
  return 'gone'
end
redis.call('HINCRBY', KEYS[4], ARGV[2], 1)
if waited then
  redis.call('HINCRBY', KEYS[4], 'dead_letters', 1)
  for field, n in pairs(cjson.decode(ARGV[3])) do
    redis.call('HINCRBY', KEYS[5], field, n)
  end
end
return 'applied'
