-- repair_lead: make everything that points to a lead say what its record and history say.
--
-- KEYS  1 lead  2 its history  3 due  4 all leads  5 open leads  6 ledger  7 alerts  8 attempts  9 outboxes
--       10… those the plan names by number
-- ARGV  1 plan (JSON)  2 the lead's document at its new version
-- plan  id, open, expected (version looked at), version, length (lines of history looked at), received_at, next_at (or false)
--       line (of history)   findings [name]   people [[key, value looked at or false]]
--       alerts [[outbox key, destination, alert key, due ms, document]]
-- answers  applied | stale (something happened to the lead since: no contradiction, or another one) | gone
--
-- The version is raised, so that a change decided before the repair is refused and decided again.

local plan = cjson.decode(ARGV[1])

local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version == 0 then return 'gone' end
if version ~= plan.expected or redis.call('LLEN', KEYS[2]) ~= plan.length then return 'stale' end
for _, person in ipairs(plan.people) do
  if redis.call('GET', KEYS[person[1]]) ~= person[2] then return 'stale' end
end
for _, alert in ipairs(plan.alerts) do
  if redis.call('HEXISTS', KEYS[7], alert[3]) == 1 then return 'stale' end
end

redis.call('HSET', KEYS[1], 'version', plan.version, 'document', ARGV[2])
redis.call('RPUSH', KEYS[2], plan.line)
redis.call('ZADD', KEYS[4], plan.received_at, plan.id)
if plan.open then
  redis.call('SADD', KEYS[5], plan.id)
else
  redis.call('SREM', KEYS[5], plan.id)
end
if plan.next_at then
  redis.call('ZADD', KEYS[3], plan.next_at, plan.id)
else
  redis.call('ZREM', KEYS[3], plan.id)
end
for _, person in ipairs(plan.people) do
  redis.call('SET', KEYS[person[1]], plan.id)
end
for _, alert in ipairs(plan.alerts) do
  redis.call('HSET', KEYS[7], alert[3], alert[5])
  redis.call('HSETNX', KEYS[8], alert[3], '0:0:')  -- attempts made before it was lost count
  redis.call('ZADD', KEYS[alert[1]], alert[4], alert[3])
  redis.call('SADD', KEYS[9], alert[2])
end
for _, finding in ipairs(plan.findings) do
  redis.call('HINCRBY', KEYS[6], 'repaired:' .. finding, 1)
end
return 'applied'
