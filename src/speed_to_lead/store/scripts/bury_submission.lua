-- bury_submission: a submission that cannot be read leaves the queue and is kept as a dead letter.
--
-- KEYS  1 queue  2 ledger  3 the dead letter  4 dead letters by time  5 the dead letter under its other id
--       6 metrics
-- ARGV  1 entry  2 group  3 submission id  4 UTC ms now  5 what its body is known by  6 other id (of this id and body)
--       7 counts for the metrics (JSON), and 8 those where the body is kept already
--       9 the field that holds what a body is known by: body, or same_by where bodies are encrypted
--       10… fields and values of the dead letter
-- answers  applied | settled (the queue entry is gone: somebody wrote it)
--          known (the same body is kept under that id already: this entry repeats it and is counted as a duplicate)
--
-- Programs may use one id twice. What is kept under it is never overwritten: another body gets the other id.

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 'settled'
end
local letter, id = KEYS[3], ARGV[3]
local is_kept = redis.call('EXISTS', letter) == 1
if is_kept and redis.call('HGET', letter, ARGV[9]) ~= ARGV[5] then
  letter, id = KEYS[5], ARGV[6]
  is_kept = redis.call('EXISTS', letter) == 1
end
local counts = cjson.decode(ARGV[is_kept and 8 or 7])

if is_kept then
  redis.call('HINCRBY', KEYS[2], 'duplicates', 1)
else
  redis.call('HSET', letter, unpack(ARGV, 10))
  redis.call('HSET', letter, 'id', id)
  redis.call('ZADD', KEYS[4], ARGV[4], id)
  redis.call('HINCRBY', KEYS[2], 'dead_letters', 1)
end
for field, n in pairs(counts) do
  redis.call('HINCRBY', KEYS[6], field, n)
end
redis.call('XACK', KEYS[1], ARGV[2], ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
if is_kept then return 'known' end
return 'applied'
