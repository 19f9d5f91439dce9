-- look_at_lead: one lead and what points to it, as they are at one instant. Writes nothing.
--
-- KEYS  1 lead  2 its history  3 due  4 open leads  5 all leads
-- ARGV  1 lead id
-- answers  {type of the record's key, document or nothing, history lines, UTC ms in the index or nothing,
--           1 if among the open leads, 1 if among all}

local kind = redis.call('TYPE', KEYS[1]).ok
local document = false
if kind == 'hash' then
  document = redis.call('HGET', KEYS[1], 'document')
end
local listed = 0
if redis.call('ZSCORE', KEYS[5], ARGV[1]) then
  listed = 1
end
return {
  kind, document, redis.call('LRANGE', KEYS[2], 0, -1), redis.call('ZSCORE', KEYS[3], ARGV[1]),
  redis.call('SISMEMBER', KEYS[4], ARGV[1]), listed,
}
