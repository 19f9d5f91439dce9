-- tell_once: count what was found, and put one alert about it into the outbox, once in a while.
--
-- KEYS  1 until when (UTC ms) it is not told again  2 ledger  3 outbox of the destination  4 alerts  5 attempts  6 outboxes
-- ARGV  1 ms to remember it for  2 counter  3 how many were found
--       4 destination  5 alert key  6 document  7 UTC ms at which it is due  8 again (or "")
-- answers  applied | known (it was told, and not so long ago; with `again` it is counted all the same)

local told_until = redis.call('GET', KEYS[1])
local is_known = told_until and tonumber(told_until) > tonumber(ARGV[7])
if ARGV[8] == 'again' or not is_known then
  redis.call('HINCRBY', KEYS[2], ARGV[2], ARGV[3])
end
if is_known then
  return 'known'
end
redis.call('SET', KEYS[1], string.format('%.0f', ARGV[7] + ARGV[1]), 'PX', ARGV[1])
if redis.call('HSETNX', KEYS[4], ARGV[5], ARGV[6]) == 1 then
  redis.call('HSET', KEYS[5], ARGV[5], '0:0:')
  redis.call('ZADD', KEYS[3], ARGV[7], ARGV[5])
  redis.call('SADD', KEYS[6], ARGV[4])
end
return 'applied'
