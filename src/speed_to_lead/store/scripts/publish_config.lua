-- publish_config: make one version of the config the live one, whole or not at all.
--
-- KEYS  1 versions  2 contents
-- ARGV  1 number of the version  2 its line (JSON)  3 digest of its content  4 the content
-- answers  applied | stale (another version of that number was published first)
--
-- What was published under that digest before is the same content: a rollback keeps it once.

if redis.call('LLEN', KEYS[1]) ~= ARGV[1] - 1 then
  return 'stale'
end
redis.call('HSETNX', KEYS[2], ARGV[3], ARGV[4])
redis.call('RPUSH', KEYS[1], ARGV[2])
return 'applied'
