-- forget_consumers: strike those consumers off that were silent for long and hold nothing.
--
-- KEYS  1 the stream
-- ARGV  1 its group  2 ms of silence
-- answers  how many
--
-- In one piece, because an entry taken between the look and the strike would be forgotten with its consumer. Before
-- Redis 7.2 a consumer that asks and gets nothing is silent; one that lives is on the list again with its next read.

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then
  return 0 -- no stream or no group yet, so no consumers either
end
local gone = 0
for _, fields in ipairs(consumers) do
  local consumer = {}
  for place = 1, #fields, 2 do
    consumer[fields[place]] = fields[place + 1]
  end
  if tonumber(consumer['pending']) == 0 and tonumber(consumer['idle']) > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    gone = gone + 1
  end
end
return gone
