-- remove_lead: a lead leaves everything that knows it: record, history, indexes, load, its alerts, what points to it.
--
-- KEYS  1 lead  2 its history  3 due  4 all leads  5 open leads  6 quarantine  7 ledger  8 load
--       9 alerts  10 attempts  11 dead alerts  12 changes of load
--       13… outboxes, leases and pointers, as the plan names them by number
-- ARGV  1 plan (JSON)
-- plan  id, expected (version decided on; false: whatever is there), counter, rep (whose load it counts in, or false)
--       alerts   [[outbox key, leases key, alert key]]   pointers [key]   deleted where they still name this lead
-- answers  applied | stale (it changed: read it again) | gone (there was no record; what was left of it is removed)
--
-- Other totals stay: that a lead came and was answered stays counted. Alerts under way are cancelled: a courier
-- that holds one finds no record, and its lease is void.

local plan = cjson.decode(ARGV[1])

local kind = redis.call('TYPE', KEYS[1]).ok
local version = false
if kind == 'hash' then version = redis.call('HGET', KEYS[1], 'version') end
if plan.expected and tostring(plan.expected) ~= version then
  if kind ~= 'none' then return 'stale' end
end

redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], plan.id)
redis.call('ZREM', KEYS[4], plan.id)
if redis.call('SREM', KEYS[5], plan.id) == 1 and plan.rep then
  if redis.call('HINCRBY', KEYS[8], plan.rep, -1) == 0 then redis.call('HDEL', KEYS[8], plan.rep) end
  redis.call('HINCRBY', KEYS[12], plan.rep, 1)
end
redis.call('HDEL', KEYS[6], plan.id)
for _, alert in ipairs(plan.alerts) do
  if redis.call('HDEL', KEYS[9], alert[3]) == 1 and redis.call('ZREM', KEYS[11], alert[3]) == 0 then
    redis.call('HINCRBY', KEYS[7], 'alerts_cancelled', 1)
  end
  redis.call('HDEL', KEYS[10], alert[3])
  redis.call('ZREM', KEYS[alert[1]], alert[3])
  redis.call('ZREM', KEYS[alert[2]], alert[3])
end
for _, pointer in ipairs(plan.pointers) do
  if redis.call('GET', KEYS[pointer]) == plan.id then redis.call('DEL', KEYS[pointer]) end
end
if kind == 'none' then return 'gone' end
redis.call('HINCRBY', KEYS[7], plan.counter, 1)
return 'applied'
