-- note_shadow: count what a shadow config decided, and keep examples of where it differs.
--
-- KEYS  1 the shadow  2 counts  3 examples
-- ARGV  1 id of the shadow it was decided by  2 counts (JSON, {name: n})  3 how many examples are kept
--       4 ms to keep them  5… examples, oldest first
-- answers  applied | stale (it was ended, or another one was begun)

if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return 'stale'
end
for name, n in pairs(cjson.decode(ARGV[2])) do
  redis.call('HINCRBY', KEYS[2], name, n)
end
for number = 5, #ARGV do
  redis.call('LPUSH', KEYS[3], ARGV[number])
end
redis.call('LTRIM', KEYS[3], 0, ARGV[3] - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 'applied'
