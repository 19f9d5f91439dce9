-- split_submission: a delivery of several items leaves the queue, and each item takes its place as a submission of its own.
--
-- KEYS  1 the stream it waits in  2 queue  3 ledger
-- ARGV  1 entry  2 group  3… for each item: how many arguments are its fields and values, then these
-- answers  applied | settled (the queue entry is gone: somebody wrote it)
--
-- Of one submission come several: the books count the items as received, and the delivery no more (`split`).

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 'settled'
end

local i = 3
while i <= #ARGV do
  local count = tonumber(ARGV[i])
  redis.call('XADD', KEYS[2], '*', unpack(ARGV, i + 1, i + count))
  i = i + count + 1
end
redis.call('HINCRBY', KEYS[3], 'split', 1)
redis.call('XACK', KEYS[1], ARGV[2], ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
return 'applied'
