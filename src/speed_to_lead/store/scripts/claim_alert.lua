-- claim_alert: lease the first due alert of one destination to one courier.
--
-- KEYS  1 outbox of the destination  2 its leases  3 alerts  4 attempts  5 the destination's trouble
-- ARGV  1 UTC ms now  2 UTC ms at which the lease ends  3 lease token  4 how many leases the destination may have
--       5 ms of trouble after which nobody waits for it  6 ms after the last failure at which there is no trouble any more
-- answers  {alert key, document, attempts, unknown attempts, in vain (1 or 0)} with this attempt counted, or nothing
--          {alert key, nothing, 0, 0, 0} where the outbox named an alert that is not there; it is taken out
--
-- A destination that asked to be left alone gets nothing until then, and after it one alert at a time. Where its trouble
-- is long, one alert at a time finds out, and the others are in vain.
-- A lease that ends without word is an attempt nobody knows the end of: the courier died in the middle. The
-- next claim counts it as unknown, so that the message can say it may be a repeat.

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
local leased, most, in_vain = redis.call('ZCARD', KEYS[2]), tonumber(ARGV[4]), 0
local since, rest, last = string.match(redis.call('GET', KEYS[5]) or '', '^(%d+):(%d+):(%d+)$')
if since and tonumber(ARGV[1]) - tonumber(last) < tonumber(ARGV[6]) then
  local now, resting = tonumber(ARGV[1]), tonumber(rest) > tonumber(ARGV[1])
  if now - tonumber(since) >= tonumber(ARGV[5]) and (resting or leased > 0) then
    in_vain = 1
  elseif resting then
    return false
  elseif rest ~= '0' then
    most = 1
  end
end
if leased >= most then
  return false
end
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
if #due == 0 then
  return false
end
local key = due[1]
local document = redis.call('HGET', KEYS[3], key)
if not document then
  redis.call('ZREM', KEYS[1], key)
  redis.call('HDEL', KEYS[4], key)
  return {key, false, 0, 0, 0}
end
local attempts, unknown, token =
  string.match(redis.call('HGET', KEYS[4], key) or '0:0:', '^(%d+):(%d+):(.*)$')
if token ~= '' then
  unknown = unknown + 1
end
attempts = attempts + 1

redis.call('HSET', KEYS[4], key, string.format('%d:%d:%s', attempts, unknown, ARGV[3]))
redis.call('ZADD', KEYS[1], ARGV[2], key)
redis.call('ZADD', KEYS[2], ARGV[2], key)
return {key, document, tonumber(attempts), tonumber(unknown), in_vain}
