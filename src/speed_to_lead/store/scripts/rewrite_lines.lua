-- rewrite_lines: lines of a list (a lead's record is its first) are replaced by others, where they are still what was read.
--
-- KEYS  1 list
-- ARGV  index (from 0), old, new, …
-- answers  applied | stale (one of them changed: read it again)

for i = 1, #ARGV, 3 do
  if redis.call('LINDEX', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return 'stale' end
end
for i = 1, #ARGV, 3 do
  redis.call('LSET', KEYS[1], ARGV[i], ARGV[i + 2])
end
return 'applied'
