-- settle_alert: write what one attempt came to.
--
-- KEYS  1 outbox of the destination  2 its leases  3 alerts  4 attempts  5 dead alerts  6 outboxes
--       7 the lead  8 ledger  9 outbox of another alert (any key where there is none)  10 metrics
--       11 the destination's trouble  12… the leads of a digest's alerts, in their order
-- ARGV  1 alert key  2 lease token  3 delivered | cancelled | retry | returned | dead
--       4 UTC ms: now, or for retry and returned the next attempt  5 unknown attempts so far
--       6 line for the lead's history, or ''
--       7 destination of another alert that is put in with it, or ''  8 its key  9 its document  10 UTC ms at which it is due
--       11 counts for the metrics (JSON)
--       12 UTC ms at which the destination took nothing, or ''  13 UTC ms until which it wants to be left alone, or 0
--       14 ms after which that is forgotten
--       15 version of the lead as it was told, or '': where it is that still, the other alert is not put in
--       16… a line for the history of each of those leads: what came of the digest
-- answers  applied | stale (the lease is not this courier's any more: another one has the alert)

local state = redis.call('HGET', KEYS[4], ARGV[1])
if not state then
  return 'stale'
end
local attempts, _, token = string.match(state, '^(%d+):(%d+):(.*)$')
if token ~= ARGV[2] then
  return 'stale'
end
local counts = cjson.decode(ARGV[11])

redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] == 'delivered' then
  redis.call('DEL', KEYS[11])
elseif ARGV[12] ~= '' then
  local since, rest, last = string.match(redis.call('GET', KEYS[11]) or '', '^(%d+):(%d+):(%d+)$')
  if since and tonumber(ARGV[12]) - tonumber(last) >= tonumber(ARGV[14]) then
    since, rest = nil, nil
  end
  if tonumber(rest or '0') < tonumber(ARGV[13]) then rest = ARGV[13] end
  redis.call('SET', KEYS[11], (since or ARGV[12]) .. ':' .. (rest or '0') .. ':' .. ARGV[12], 'PX', ARGV[14])
end
if ARGV[3] == 'retry' or ARGV[3] == 'returned' then
  if ARGV[3] == 'returned' then
    attempts = string.format('%d', attempts - 1)
  end
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
  redis.call('HSET', KEYS[4], ARGV[1], attempts .. ':' .. ARGV[5] .. ':')
else
  redis.call('ZREM', KEYS[1], ARGV[1])
  if ARGV[3] == 'dead' then
    redis.call('ZADD', KEYS[5], ARGV[4], ARGV[1])
    redis.call('HSET', KEYS[4], ARGV[1], attempts .. ':' .. ARGV[5] .. ':')
  else
    redis.call('HDEL', KEYS[3], ARGV[1])
    redis.call('HDEL', KEYS[4], ARGV[1])
  end
  redis.call('HINCRBY', KEYS[8], 'alerts_' .. ARGV[3], 1)
end
for field, n in pairs(counts) do
  redis.call('HINCRBY', KEYS[10], field, n)
end
if ARGV[6] ~= '' and redis.call('TYPE', KEYS[7]).ok == 'list' then
  redis.call('RPUSH', KEYS[7], ARGV[6])
end
for i = 16, #ARGV do
  if redis.call('TYPE', KEYS[i - 4]).ok == 'list' then
    redis.call('RPUSH', KEYS[i - 4], ARGV[i])
  end
end
local is_wanted = ARGV[7] ~= ''
if is_wanted and ARGV[15] ~= '' then
  -- Whoever changed the lead before this note did not find the destination in its history; whoever does after it, will.
  local is_there = redis.call('TYPE', KEYS[7]).ok == 'list'
  is_wanted = is_there and string.match(redis.call('LINDEX', KEYS[7], 0), '^%d+') ~= ARGV[15]
end
if is_wanted and redis.call('HEXISTS', KEYS[3], ARGV[8]) == 0 then
  redis.call('HSET', KEYS[3], ARGV[8], ARGV[9])
  redis.call('HSET', KEYS[4], ARGV[8], '0:0:')
  redis.call('ZADD', KEYS[9], ARGV[10], ARGV[8])
  redis.call('SADD', KEYS[6], ARGV[7])
end
return 'applied'
