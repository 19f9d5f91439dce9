-- look_for_alerts: which of a lead's alerts are kept, if nothing happened to the lead since it was read. Writes nothing.
--
-- KEYS  1 lead  2 alerts
-- ARGV  1 lines of history read  2… alert keys
-- answers  a list of 1 (kept) and 0 (nowhere) | nothing: history went on, so the question is out of date

if redis.call('LLEN', KEYS[1]) - 1 ~= tonumber(ARGV[1]) then
  return false
end
local kept = {}
for i = 2, #ARGV do
  kept[#kept + 1] = redis.call('HEXISTS', KEYS[2], ARGV[i])
end
return kept
