-- unindexed_leads: of a batch of the open leads, those the deadline index does not have. Writes nothing.
--
-- KEYS  1 open leads  2 due
-- ARGV  1 cursor, '0' begins a round  2 how many to look at, more or less
-- answers  {cursor for the next batch, '0' ends the round, ids}
--
-- Here rather than with two questions, because nothing but the few that are missing goes over the wire: a million open
-- leads are looked at in a second or two of the server's time.

local batch = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local ids = batch[2]
local missing = {}
for first = 1, #ids, 1000 do
  local last = math.min(first + 999, #ids)
  local scores = redis.call('ZMSCORE', KEYS[2], unpack(ids, first, last))
  for i = first, last do
    if not scores[i - first + 1] then missing[#missing + 1] = ids[i] end
  end
end
return {batch[1], missing}
