-- note_repeat: the place of a submission among those that said the same within a day; the same however often it is asked.
--
-- KEYS  1 those that said it: short hash of each one's id, by its place
-- ARGV  1 short hash of the submission's id  2 how many are kept at most  3 ms to remember them for, after the last
-- answers  its place, from 1; what comes after those kept is one behind the last

redis.call('PEXPIRE', KEYS[1], ARGV[3])
local place = redis.call('ZSCORE', KEYS[1], ARGV[1])
if place then
  return tonumber(place)
end
local next_place = redis.call('ZCARD', KEYS[1]) + 1
if next_place <= tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], next_place, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return next_place
