-- remove_pointer: a key that names a person or a submission goes; the lead it points to stays as it is.
--
-- KEYS  1 the pointer
-- ARGV  1 the lead it pointed to when this was decided
-- answers  applied | gone (it points elsewhere by now, or is not there)

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'gone'
end
redis.call('DEL', KEYS[1])
return 'applied'
