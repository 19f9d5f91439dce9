-- note_sent: count one more alert for a destination in the time that began with the first of them.
--
-- KEYS  1 the destination's storm
-- ARGV  1 UTC ms now  2 ms for which is counted  3 how many may go out in it one by one  4 ms to keep it
-- answers  {UTC ms at which that time began, how many it is now}
--
-- Where more came, that stands until the alerts held back are folded, or as long again has passed.

local began, count = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+)$')
local passed, within = tonumber(ARGV[1]) - tonumber(began or '0'), tonumber(ARGV[2])
if not began or passed >= 2 * within or (passed >= within and tonumber(count) <= tonumber(ARGV[3])) then
  began, count = ARGV[1], '0'
end
count = string.format('%d', count + 1)
redis.call('SET', KEYS[1], began .. ':' .. count, 'PX', ARGV[4])
return {began, count}
