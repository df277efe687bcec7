-- Remembers a reading unless a newer one is held. KEYS[1] where; ARGV[1] the reading, ARGV[2] for
-- how many milliseconds. A reading begins with a mark, its format, and its version in eight bytes,
-- whatever its format is: releases with different formats keep each other's newer readings, too.
-- What is held without an end, or for too long, nobody of ours put there.
local function version(reading)
  return { reading:byte(3, 10) }
end

local function newer(a, b)
  for place = 1, 8 do
    if a[place] ~= b[place] then
      return a[place] > b[place]
    end
  end
  return false
end

local held = redis.pcall('GETRANGE', KEYS[1], 0, 9)
if type(held) == 'string' and #held == 10 and held:byte(1) == ARGV[1]:byte(1) then
  local left = redis.call('PTTL', KEYS[1])
  local ours = left > 0 and left <= tonumber(ARGV[2])
  if ours and newer(version(held), version(ARGV[1])) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
