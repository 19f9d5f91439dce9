-- fold_alerts: put one digest in the place of several alerts for one destination, all of them or none.
--
-- KEYS  1 outbox of the destination  2 its leases  3 alerts  4 attempts  5 ledger  6 the destination's storm
--       7… the leads of the alerts, in their order
-- ARGV  1 key of the digest  2 its document  3 UTC ms at which it is due  4 1 where more of the storm is still to be folded
--       5… for each alert its key, then a line for its lead's history
-- answers  applied | stale (one of them is under way, or was settled; or there is such a digest)

if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  return 'stale'
end
for i = 5, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) or not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    return 'stale'
  end
end

for i = 5, #ARGV, 2 do
  local lead = KEYS[7 + (i - 5) / 2]
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
  redis.call('HDEL', KEYS[4], ARGV[i])
  if redis.call('TYPE', lead).ok == 'list' then
    redis.call('RPUSH', lead, ARGV[i + 1])
  end
  redis.call('HINCRBY', KEYS[5], 'alerts_folded', 1)
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[4], ARGV[1], '0:0:')
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
if ARGV[4] ~= '1' then
  redis.call('DEL', KEYS[6])
end
return 'applied'
