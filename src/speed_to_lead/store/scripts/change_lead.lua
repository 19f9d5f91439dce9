-- change_lead: write one decision about one lead, whole or not at all.
--
-- KEYS  1 lead  2 due  3 all leads  4 ledger  5 load  6 alerts  7 attempts  8 outboxes  9 queue
--       10 rotation of the team (unused where the plan has none)  11 open leads
--       12 metrics  13 changes of load  14 leads that wait for a rep  15 their teams  16 what reps were given
--       17… those the plan names by number
-- ARGV  1 plan (JSON)  2 the lead's new record  3… a document for each alert of the plan, then new lines of its history
-- plan  id, open (whether the lead is), expected (version decided on, "0" = must not exist), received_at, next_at (UTC ms or false)
--       entry (queue entry this settles, or false), group
--       lines_read  how many lines of its history the decision knew: with more by now it is stale; left out: it knew none
--       guards   [[key, value expected or false for none]]     seen by the decision, must still hold
--       sets     [[key, value, ms to keep or false]]
--       rotation {version, clock, rep, turn (and the version it makes), group, given, before, max} or false. group: left out for the whole team's. given: what the
--                rep was given, once this is written, and before: what was seen of it (false for nothing); max: the rep
--                must have fewer open leads; both only where they count
--       waits    the team whose rep the lead waits for; false: it waits no more; left out: it never did
--       counters {name: n}   load {rep: n}   metrics {field: n}
--       alerts   [[outbox key, destination, alert key, due ms]]
-- answers  applied | settled (the queue entry is gone: somebody wrote it) | stale | gone (no such lead)
--          An alert whose key is waiting or dead already is that alert: it is not put in again.
--
-- Read and refuse first, then write: a script does not roll back.

local plan = cjson.decode(ARGV[1])

if plan.entry and #redis.call('XRANGE', KEYS[9], plan.entry, plan.entry) == 0 then
  return 'settled'
end
local record, version = redis.call('LINDEX', KEYS[1], 0), '0'
if record then version = string.match(record, '^%d+') end
if version ~= plan.expected then return record and 'stale' or 'gone' end
if plan.lines_read and redis.call('LLEN', KEYS[1]) - 1 ~= plan.lines_read then return 'stale' end
for _, guard in ipairs(plan.guards) do
  local found = redis.call('GET', KEYS[guard[1]])
  if found ~= guard[2] then return 'stale' end
end
if plan.rotation then
  local turned = tonumber(redis.call('HGET', KEYS[10], 'version') or '0')
  if turned ~= plan.rotation.version then return 'stale' end
  if plan.rotation.given and redis.call('HGET', KEYS[16], plan.rotation.rep) ~= plan.rotation.before then
    return 'stale'
  end
  if plan.rotation.max and tonumber(redis.call('HGET', KEYS[5], plan.rotation.rep) or '0') >= plan.rotation.max then
    return 'stale'
  end
end
for _, counts in ipairs({plan.counters, plan.load, plan.metrics}) do
  for name, n in pairs(counts) do
    if n % 1 ~= 0 then return redis.error_reply('ERR change_lead: the count of ' .. name .. ' is not whole') end
  end
end

local lines = 3 + #plan.alerts
if record then
  redis.call('LSET', KEYS[1], 0, ARGV[2])
  if #ARGV >= lines then redis.call('RPUSH', KEYS[1], unpack(ARGV, lines)) end
else
  redis.call('RPUSH', KEYS[1], ARGV[2], unpack(ARGV, lines))
  redis.call('ZADD', KEYS[3], plan.received_at, plan.id)
end
if plan.open then
  redis.call('SADD', KEYS[11], plan.id)
else
  redis.call('SREM', KEYS[11], plan.id)
end
if plan.next_at then
  redis.call('ZADD', KEYS[2], plan.next_at, plan.id)
else
  redis.call('ZREM', KEYS[2], plan.id)
end
for _, set in ipairs(plan.sets) do
  if set[3] then
    redis.call('SET', KEYS[set[1]], set[2], 'PX', set[3])
  else
    redis.call('SET', KEYS[set[1]], set[2])
  end
end
if plan.rotation then
  local group = plan.rotation.group
  redis.call('HSET', KEYS[10], 'version', plan.rotation.version + 1,
    group and 'clock:' .. group or 'clock', plan.rotation.clock,
    'turn:' .. (group and group .. '/' or '') .. plan.rotation.rep, plan.rotation.turn)
  if plan.rotation.given then redis.call('HSET', KEYS[16], plan.rotation.rep, plan.rotation.given) end
end
if plan.waits then
  redis.call('ZADD', KEYS[14], plan.deadline, plan.id)
  redis.call('HSET', KEYS[15], plan.id, plan.waits)
elseif plan.waits == false and redis.call('ZREM', KEYS[14], plan.id) == 1 then
  redis.call('HDEL', KEYS[15], plan.id)
end
for name, n in pairs(plan.counters) do
  redis.call('HINCRBY', KEYS[4], name, n)
end
for field, n in pairs(plan.metrics) do
  redis.call('HINCRBY', KEYS[12], field, n)
end
for rep, n in pairs(plan.load) do
  if redis.call('HINCRBY', KEYS[5], rep, n) == 0 then redis.call('HDEL', KEYS[5], rep) end
  redis.call('HINCRBY', KEYS[13], rep, 1)
end
for number, alert in ipairs(plan.alerts) do
  if redis.call('HSETNX', KEYS[6], alert[3], ARGV[2 + number]) == 1 then
    redis.call('HSET', KEYS[7], alert[3], '0:0:')
    redis.call('ZADD', KEYS[alert[1]], alert[4], alert[3])
    redis.call('SADD', KEYS[8], alert[2])
  end
end
if plan.entry then
  redis.call('XACK', KEYS[9], plan.group, plan.entry)
  redis.call('XDEL', KEYS[9], plan.entry)
end
return 'applied'
