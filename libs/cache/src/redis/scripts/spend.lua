-- Counts one. KEYS[1] the counter; ARGV[1] its window in milliseconds, from the first one counted.
-- Returns the count and how many milliseconds are left of the window, by the server's time. A
-- counter that isn't a number, or whose window never ends, nobody of ours made.
local window = tonumber(ARGV[1])
local spent = redis.pcall('INCR', KEYS[1])
if type(spent) ~= 'number' then
  redis.call('SET', KEYS[1], 1, 'PX', window)
  return { 1, window }
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > window then
  redis.call('PEXPIRE', KEYS[1], window)
  left = window
end
return { spent, left }
