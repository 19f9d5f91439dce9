-- store_within_rate: store a submission of a form that takes only so many in a time, with a token of the form's bucket.
--
-- The bucket is one number, the instant at which it will be full again: each token puts it off by per / most.
--
-- KEYS  1 stream  2 the form's bucket
-- ARGV  1 tokens of a full bucket (most)  2 ms in which an empty one fills (per)
--       3 refuse (without a token nothing is stored) | mark (it is stored all the same, with over_rate = 1)
--       4... names and values of the entry's fields
-- answers  the entry's id | ms until there is a token, and nothing was stored

local most, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local full_at = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), now) + per / most
local too_many = full_at - now - per
if too_many > 0.001 then -- not 0: sums of parts of a millisecond are never exact
  if ARGV[3] == 'refuse' then
    return math.ceil(too_many)
  end
  return redis.call('XADD', KEYS[1], '*', 'over_rate', '1', unpack(ARGV, 4))
end
redis.call('SET', KEYS[2], string.format('%.3f', full_at), 'PX', math.ceil(full_at - now))
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
