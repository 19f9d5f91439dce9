-- change_lead: write one decision about one lead, whole or not at all.
--
-- KEYS  1 lead  2 its history  3 due  4 all leads  5 ledger  6 load  7 alerts  8 attempts  9 outboxes
--       10 queue  11 rotation of the team (unused where the plan has none)  12 open leads
--       13 metrics  14 changes of load  15… those the plan names by number
-- ARGV  1 plan (JSON)  2 the lead's new document
-- plan  id, open (whether the lead is), expected (version decided on, 0 = must not exist), version, received_at, next_at (UTC ms or false)
--       entry (queue entry this settles, or false), group
--       guards   [[key, value expected or false for none]]     seen by the decision, must still hold
--       sets     [[key, value, ms to keep or false]]
--       rotation {version, clock, rep, turn} or false
--       history  [line]   counters {name: n}   load {rep: n}   metrics {field: n}
--       alerts   [[outbox key, destination, alert key, due ms, document]]
-- answers  applied | settled (the queue entry is gone: somebody wrote it) | stale | gone (no such lead)
--          An alert whose key is waiting or dead already is that alert: it is not put in again.
--
-- Read and refuse first, then write: a script does not roll back.

local plan = cjson.decode(ARGV[1])

if plan.entry and #redis.call('XRANGE', KEYS[10], plan.entry, plan.entry) == 0 then
  return 'settled'
end
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= plan.expected then
  if version == 0 then return 'gone' end
  return 'stale'
end
for _, guard in ipairs(plan.guards) do
  local found = redis.call('GET', KEYS[guard[1]])
  if found ~= guard[2] then return 'stale' end
end
if plan.rotation then
  local turned = tonumber(redis.call('HGET', KEYS[11], 'version') or '0')
  if turned ~= plan.rotation.version then return 'stale' end
end
for _, counts in ipairs({plan.counters, plan.load, plan.metrics}) do
  for name, n in pairs(counts) do
    if n % 1 ~= 0 then return redis.error_reply('ERR change_lead: the count of ' .. name .. ' is not whole') end
  end
end

redis.call('HSET', KEYS[1], 'version', plan.version, 'document', ARGV[2])
if plan.expected == 0 then
  redis.call('ZADD', KEYS[4], plan.received_at, plan.id)
end
if plan.open then
  redis.call('SADD', KEYS[12], plan.id)
else
  redis.call('SREM', KEYS[12], plan.id)
end
if plan.next_at then
  redis.call('ZADD', KEYS[3], plan.next_at, plan.id)
else
  redis.call('ZREM', KEYS[3], plan.id)
end
for _, set in ipairs(plan.sets) do
  if set[3] then
    redis.call('SET', KEYS[set[1]], set[2], 'PX', set[3])
  else
    redis.call('SET', KEYS[set[1]], set[2])
  end
end
if plan.rotation then
  redis.call('HSET', KEYS[11], 'version', plan.rotation.version + 1, 'clock', plan.rotation.clock,
    'turn:' .. plan.rotation.rep, plan.rotation.turn)
end
for _, line in ipairs(plan.history) do
  redis.call('RPUSH', KEYS[2], line)
end
for name, n in pairs(plan.counters) do
  redis.call('HINCRBY', KEYS[5], name, n)
end
for field, n in pairs(plan.metrics) do
  redis.call('HINCRBY', KEYS[13], field, n)
end
for rep, n in pairs(plan.load) do
  if redis.call('HINCRBY', KEYS[6], rep, n) == 0 then redis.call('HDEL', KEYS[6], rep) end
  redis.call('HINCRBY', KEYS[14], rep, 1)
end
for _, alert in ipairs(plan.alerts) do
  if redis.call('HSETNX', KEYS[7], alert[3], alert[5]) == 1 then
    redis.call('HSET', KEYS[8], alert[3], '0:0:')
    redis.call('ZADD', KEYS[alert[1]], alert[4], alert[3])
    redis.call('SADD', KEYS[9], alert[2])
  end
end
if plan.entry then
  redis.call('XACK', KEYS[10], plan.group, plan.entry)
  redis.call('XDEL', KEYS[10], plan.entry)
end
return 'applied'
