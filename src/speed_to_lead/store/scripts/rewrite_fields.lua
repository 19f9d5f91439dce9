-- rewrite_fields: texts of a hash are replaced by others, where they are still what was read.
--
-- KEYS  1 hash
-- ARGV  field, old, new, …   an old or new value of '' stands for: not there
-- answers  applied | stale (one of them changed: read it again)

for i = 1, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then return 'stale' end
end
for i = 1, #ARGV, 3 do
  if ARGV[i + 2] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  end
end
return 'applied'
