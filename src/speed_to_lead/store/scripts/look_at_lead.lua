-- look_at_lead: one lead and what points to it, as they are at one instant. Writes nothing.
--
-- KEYS  1 lead  2 due  3 open leads  4 all leads  5 leads that wait for a rep  6 their teams
-- ARGV  1 lead id
-- answers  {type of the lead's key, its record and then the lines of its history, UTC ms in the index or nothing,
--           1 if among the open leads, 1 if among all, UTC ms among those that wait or nothing, their team or nothing}

local kind = redis.call('TYPE', KEYS[1]).ok
local whole = {}
if kind == 'list' then
  whole = redis.call('LRANGE', KEYS[1], 0, -1)
end
local listed = 0
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  listed = 1
end
return {
  kind, whole, redis.call('ZSCORE', KEYS[2], ARGV[1]), redis.call('SISMEMBER', KEYS[3], ARGV[1]), listed,
  redis.call('ZSCORE', KEYS[5], ARGV[1]), redis.call('HGET', KEYS[6], ARGV[1]),
}
