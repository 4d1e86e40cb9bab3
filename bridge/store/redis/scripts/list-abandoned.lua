-- Lists what was left half done for longer than whoever began it would take.
--
-- KEYS[1] dirty  [2] outbox
-- ARGV[1] age of a dirty mark, in milliseconds  [2] age of what waits for a room
-- Returns {time, {field, value, ...} of dirty, {field, value, ...} of the outbox}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lists = {}
for k = 1, 2 do
  local list, all = {}, redis.call('HGETALL', KEYS[k])
  for i = 1, #all, 2 do
    local at = tonumber(string.match(all[i + 1], '^%d+ (%d+)'))
    if at + ARGV[k] < now then
      list[#list + 1] = all[i]
      list[#list + 1] = all[i + 1]
    end
  end
  lists[k] = list
end
return { string.format('%.0f', now), lists[1], lists[2] }
