-- swap_field: put a value in place of the one it was decided on.
--
-- KEYS  1 hash
-- ARGV  1 field  2 the value seen by the decision ('' for none)  3 the new value
-- answers  applied | stale (another value is there now)

if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 'stale'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'applied'
