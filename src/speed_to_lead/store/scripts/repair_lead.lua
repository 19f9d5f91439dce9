-- repair_lead: make everything that points to a lead say what its record and history say.
--
-- KEYS  1 lead  2 due  3 all leads  4 open leads  5 ledger  6 alerts  7 attempts  8 outboxes
--       9 leads that wait for a rep  10 their teams  11… those the plan names by number
-- ARGV  1 plan (JSON)  2 the lead's record at its new version  3 line for its history
-- plan  id, open, expected (version looked at), length (lines of history looked at), received_at, next_at (or false)
--       waits    [deadline, team] where it waits for a rep, else false
--       findings [name]   people [[key, value looked at or false]]
--       alerts [[outbox key, destination, alert key, due ms, document]]
-- answers  applied | stale (something happened to the lead since: no contradiction, or another one) | gone
--
-- The version is raised, so that a change decided before the repair is refused and decided again.

local plan = cjson.decode(ARGV[1])

local record = redis.call('LINDEX', KEYS[1], 0)
if not record then return 'gone' end
if string.match(record, '^%d+') ~= plan.expected or redis.call('LLEN', KEYS[1]) - 1 ~= plan.length then
  return 'stale'
end
for _, person in ipairs(plan.people) do
  if redis.call('GET', KEYS[person[1]]) ~= person[2] then return 'stale' end
end
for _, alert in ipairs(plan.alerts) do
  if redis.call('HEXISTS', KEYS[6], alert[3]) == 1 then return 'stale' end
end

redis.call('LSET', KEYS[1], 0, ARGV[2])
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[3], plan.received_at, plan.id)
if plan.open then
  redis.call('SADD', KEYS[4], plan.id)
else
  redis.call('SREM', KEYS[4], plan.id)
end
if plan.next_at then
  redis.call('ZADD', KEYS[2], plan.next_at, plan.id)
else
  redis.call('ZREM', KEYS[2], plan.id)
end
if plan.waits then
  redis.call('ZADD', KEYS[9], plan.waits[1], plan.id)
  redis.call('HSET', KEYS[10], plan.id, plan.waits[2])
else
  redis.call('ZREM', KEYS[9], plan.id)
  redis.call('HDEL', KEYS[10], plan.id)
end
for _, person in ipairs(plan.people) do
  redis.call('SET', KEYS[person[1]], plan.id)
end
for _, alert in ipairs(plan.alerts) do
  redis.call('HSET', KEYS[6], alert[3], alert[5])
  redis.call('HSETNX', KEYS[7], alert[3], '0:0:')  -- attempts made before it was lost count
  redis.call('ZADD', KEYS[alert[1]], alert[4], alert[3])
  redis.call('SADD', KEYS[8], alert[2])
end
for _, finding in ipairs(plan.findings) do
  redis.call('HINCRBY', KEYS[5], 'repaired:' .. finding, 1)
end
return 'applied'
