-- postpone_submissions: submissions that can wait change from the queue to the patient lane, each whole or not at all.
--
-- KEYS  1 queue  2 patient lane
-- ARGV  1 group  2… entries of the queue
-- answers  the entries that were moved; the others were settled meanwhile, or are no submission of ours
--
-- The fields stay as they came. `came_as` is added: the entry's id in the queue, which tells when it was received
-- and what it is called where it names neither. A repetition finds the entries gone and moves nothing.

local moved = {}
for i = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found > 0 and #found[1][2] <= 1000 then -- what has more fields is stranger than Lua can hand on
    local fields = found[1][2]
    fields[#fields + 1] = 'came_as'
    fields[#fields + 1] = ARGV[i]
    redis.call('XADD', KEYS[2], '*', unpack(fields))
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
    redis.call('XDEL', KEYS[1], ARGV[i])
    moved[#moved + 1] = ARGV[i]
  end
end
return moved
