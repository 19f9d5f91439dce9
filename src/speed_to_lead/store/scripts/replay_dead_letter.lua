-- replay_dead_letter: a dead letter goes back to the queue as it came, with its first receipt time.
--
-- KEYS  1 queue  2 ledger  3 the dead letter  4 dead letters by time
-- ARGV  1 submission id
-- answers  applied | gone (no such dead letter)

local fields = redis.call('HGETALL', KEYS[3])
if #fields == 0 then
  return 'gone'
end

local kept = {}
for i = 1, #fields, 2 do
  if fields[i] ~= 'error' and fields[i] ~= 'buried_at' and fields[i] ~= 'same_by' then
    kept[#kept + 1] = fields[i]
    kept[#kept + 1] = fields[i + 1]
  end
end
redis.call('XADD', KEYS[1], '*', unpack(kept))
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'dead_letters', -1)
redis.call('HINCRBY', KEYS[2], 'replayed', 1)
return 'applied'
