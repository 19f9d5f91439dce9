-- mend_due: make the deadline index say what the record says.
--
-- KEYS  1 lead  2 due
-- ARGV  1 lead id  2 version the record was read at, 0 = there is none  3 UTC ms of its next instant, or ''
-- answers  applied | stale (the record moved on; its own change wrote the index)

local record, version = redis.call('LINDEX', KEYS[1], 0), '0'
if record then version = string.match(record, '^%d+') end
if version ~= ARGV[2] then
  return 'stale'
end

if ARGV[3] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
end
return 'applied'
