-- claim_fetch: one asker takes a fetch whose attempt is due; for the length of its lease nobody else does.
--
-- KEYS  1 the fetch  2 fetches by their next attempt
-- ARGV  1 name  2 UTC ms now  3 UTC ms of the end of the lease
-- answers  the fields of the fetch, this attempt counted; nothing where it is not due

local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not due or tonumber(due) > tonumber(ARGV[2]) then
  return {}
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
return redis.call('HGETALL', KEYS[1])
