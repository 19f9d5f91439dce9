-- remove_lead: a lead leaves everything that knows it: record, history, indexes, load, its alerts, what points to it.
--
-- KEYS  1 lead  2 due  3 all leads  4 open leads  5 quarantine  6 ledger  7 load
--       8 alerts  9 attempts  10 dead alerts  11 changes of load
--       12 leads that wait for a rep  13 their teams
--       14… outboxes, leases and pointers, as the plan names them by number
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
if kind == 'list' then version = string.match(redis.call('LINDEX', KEYS[1], 0), '^%d+') end
if plan.expected and plan.expected ~= version then
  if kind ~= 'none' then return 'stale' end
end

redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], plan.id)
redis.call('ZREM', KEYS[3], plan.id)
if redis.call('ZREM', KEYS[12], plan.id) == 1 then redis.call('HDEL', KEYS[13], plan.id) end
if redis.call('SREM', KEYS[4], plan.id) == 1 and plan.rep then
  if redis.call('HINCRBY', KEYS[7], plan.rep, -1) == 0 then redis.call('HDEL', KEYS[7], plan.rep) end
  redis.call('HINCRBY', KEYS[11], plan.rep, 1)
end
redis.call('HDEL', KEYS[5], plan.id)
for _, alert in ipairs(plan.alerts) do
  if redis.call('HDEL', KEYS[8], alert[3]) == 1 and redis.call('ZREM', KEYS[10], alert[3]) == 0 then
    redis.call('HINCRBY', KEYS[6], 'alerts_cancelled', 1)
  end
  redis.call('HDEL', KEYS[9], alert[3])
  redis.call('ZREM', KEYS[alert[1]], alert[3])
  redis.call('ZREM', KEYS[alert[2]], alert[3])
end
for _, pointer in ipairs(plan.pointers) do
  if redis.call('GET', KEYS[pointer]) == plan.id then redis.call('DEL', KEYS[pointer]) end
end
if kind == 'none' then return 'gone' end
redis.call('HINCRBY', KEYS[6], plan.counter, 1)
return 'applied'
