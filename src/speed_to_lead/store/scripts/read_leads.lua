-- read_leads: the records of leads, all at one instant. Writes nothing.
--
-- KEYS  leads
-- answers  for each: its record | nothing (no such lead) | 0 (its key holds something else)

local records = {}
for number, key in ipairs(KEYS) do
  local record = redis.pcall('LINDEX', key, 0)
  if type(record) == 'table' then
    record = 0
  end
  records[number] = record
end
return records
