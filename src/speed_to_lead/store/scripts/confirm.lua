-- confirm: is what was read still so? Whoever acts on it outside (an answer, an alert) asks just before.
--
-- KEYS  1 the lead  2 attempts of alerts  3 a key of no importance
--       4 outbox of the alert's destination  5 its leases (any keys where there is no alert)
-- ARGV  1 version of the lead as it was read, or ''  2 alert key, or ''  3 lease token  4 ms to keep KEYS[3]
--       5 UTC ms at which the lease ends from now on, or ''
-- answers  applied | stale (the lead has changed: read it again) | gone (the lease is not this courier's any more)
--
-- The lease begins anew: however slow the server was until now, the courier has all of it to send and to note.
-- It writes even where nothing changed: the WAIT sent behind it covers what this connection wrote, and everything
-- the server wrote before that, so also what was read.

if ARGV[2] ~= '' then
  local state = redis.call('HGET', KEYS[2], ARGV[2])
  if not state or string.match(state, '^%d+:%d+:(.*)$') ~= ARGV[3] then
    return 'gone'
  end
end
if ARGV[1] ~= '' and string.match(redis.call('LINDEX', KEYS[1], 0) or '', '^%d+') ~= ARGV[1] then
  return 'stale'
end

if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[4], ARGV[5], ARGV[2])
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[2])
end
redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
return 'applied'
