-- mend_load: make a rep's count of open leads the number that was counted.
--
-- KEYS  1 load  2 changes of load  3 ledger
-- ARGV  1 rep  2 changes when they were counted  3 count that was found  4 number that was counted  5 counter
-- answers  applied | stale (a lead came or went since: what was counted is out of date)

if tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0') ~= tonumber(ARGV[2])
  or tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') ~= tonumber(ARGV[3]) then
  return 'stale'
end

if tonumber(ARGV[4]) == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
end
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('HINCRBY', KEYS[3], ARGV[5], 1)
return 'applied'
