-- settle_fetch: what came of a fetch, or of waiting for it.
--
-- KEYS  1 queue  2 ledger  3 the fetch  4 fetches by their next attempt  5 fetches by when their lead is routed without
-- ARGV  1 what came: later (try again) | answered (back into the queue, for good) | overdue (into the queue as it is, and
--         it is still asked for) | given-up (it is asked for no more)
--       2 name  3 UTC ms of the next attempt (later), else ''
--       4 '1' where its lead was routed without the data when this was decided, else '0'
--       5… fields and values of the submission (answered, overdue)
-- answers  applied | stale (meanwhile its lead was routed: decide again) | gone (no such fetch)
--
-- A submission that comes back is not a further one, so the books take it back (`returned`); one that comes for a lead that
-- was routed without is counted as a touch of that lead.

if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('ZREM', KEYS[4], ARGV[2])
  redis.call('ZREM', KEYS[5], ARGV[2])
  return 'gone'
end
local what = ARGV[1]
local is_routed = redis.call('ZSCORE', KEYS[5], ARGV[2]) and '0' or '1'
if what ~= 'later' and is_routed ~= ARGV[4] then
  return 'stale'
end

if what == 'later' then
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
  return 'applied'
end
if what == 'answered' or what == 'overdue' then
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
  if is_routed == '0' then
    redis.call('HINCRBY', KEYS[2], 'returned', 1)
  end
end
redis.call('ZREM', KEYS[5], ARGV[2])
if what ~= 'overdue' then
  redis.call('DEL', KEYS[3])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return 'applied'
