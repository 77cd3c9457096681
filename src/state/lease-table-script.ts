/**
 * The lease table within a script. Redis runs a script as one step, so two servers never give one address to two clients.
 * Time is Redis's own clock, so that all servers agree on what has expired.
 *
 * KEYS: 1 leases, 2 holders, 3 expiry (bound and released), 4 reservations, 5 reserved addresses, 6 holds (offered and
 * declined), 7 used: a bit for each address that has a record, counted from the subnet's first, 8 takings.
 */
export const openTable = `
local call = redis.call
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

-- A record: state (1 letter), end of the lease and end of its grace (13 digits each, ms), MAC, space, client. States: o
-- offered, b bound, f bound by firmware, r released, d declined.
local function read(record)
  local space = string.find(record, ' ', 28, true)
  return { state = string.sub(record, 1, 1), expires = tonumber(string.sub(record, 2, 14)),
    free = tonumber(string.sub(record, 15, 27)), mac = string.sub(record, 28, space - 1),
    client = string.sub(record, space + 1) }
end

-- Calls are what costs: all that the batch may need is read at once, changed in these tables, and written at the end.
-- A value is false where Redis has nothing.
local leases, holders, changed_leases, changed_holders, set_before = {}, {}, {}, {}, {}
local held_by_state = { o = KEYS[6], d = KEYS[6], b = KEYS[3], f = KEYS[3], r = KEYS[3] }
local function keep_lease(address, record)
  local lease = record and read(record)
  leases[address] = lease
  set_before[address] = lease and held_by_state[lease.state]
end
local function lease_at(address)
  if leases[address] == nil then keep_lease(address, call('HGET', KEYS[1], address)) end
  return leases[address] or nil
end
local function address_of(client)
  if holders[client] == nil then holders[client] = call('HGET', KEYS[2], client) end
  return holders[client]
end
local function hold(client, address)
  holders[client] = address
  changed_holders[client] = true
end

local function number(address)
  local a, b, c, d = string.match(address, '^(%d+)%.(%d+)%.(%d+)%.(%d+)$')
  return a and ((a * 256 + b) * 256 + c) * 256 + d
end
local function dotted(n)
  return string.format('%d.%d.%d.%d', math.floor(n / 16777216), math.floor(n / 65536) % 256,
    math.floor(n / 256) % 256, n % 256)
end

-- ARGV: the subnet's first address, how many ranges, two numbers for each, how many are never given, these; then ops.
local base, ranges, never = tonumber(ARGV[1]), {}, {}
local at = 3
local size = 0
for i = 1, tonumber(ARGV[2]) do
  ranges[i] = { tonumber(ARGV[at]), tonumber(ARGV[at + 1]) }
  size = size + ranges[i][2] - ranges[i][1] + 1
  at = at + 2
end
for i = at + 1, at + tonumber(ARGV[at]) do never[ARGV[i]] = true end
at = at + tonumber(ARGV[at])
local function in_pool(address)
  local n = not never[address] and number(address)
  if not n then return false end
  for _, range in ipairs(ranges) do
    if n >= range[1] and n <= range[2] then return true end
  end
  return false
end

-- A client is known by its MAC, too: whoever bound an address last, on the machine with this MAC.
local function machine(mac) return 'mac:' .. mac end
local function mac_of(names) return string.match(names, '^%S+') end

-- Somebody lost what a server may remember as his.
local taken = false
local function forget(address, lease)
  if lease.state ~= 'o' and lease.state ~= 'd' then taken = true end
  leases[address] = false
  changed_leases[address] = true
  call('SETBIT', KEYS[7], number(address) - base, 0)
  if lease.client ~= '' and address_of(lease.client) == address then hold(lease.client, false) end
  if address_of(machine(lease.mac)) == address then hold(machine(lease.mac), false) end
end
local function write(address, before, client, mac, state, expires, free)
  leases[address] = { state = state, expires = expires, free = free, mac = mac, client = client }
  changed_leases[address] = true
  if not before then call('SETBIT', KEYS[7], number(address) - base, 1)
  elseif before.client ~= client then
    if before.client ~= '' and before.state ~= 'o' then taken = true end
    if before.client ~= '' and address_of(before.client) == address then hold(before.client, false) end
    if before.mac ~= mac and address_of(machine(before.mac)) == address then hold(machine(before.mac), false) end
  end
  if state == 'r' then taken = true end
  if client ~= '' and address_of(client) ~= address then hold(client, address) end
  if (state == 'b' or state == 'f') and address_of(machine(mac)) ~= address then
    local other = address_of(machine(mac))
    local lease = other and lease_at(other)
    if not lease or lease.client ~= machine(mac) or lease.free <= now then hold(machine(mac), address) end
  end
end

local clients, wanted = {}, {}
local function will_need(client)
  if holders[client] ~= nil then return end
  holders[client] = false
  clients[#clients + 1] = client
end
for i = at, #ARGV - 7, 7 do
  will_need(ARGV[i + 2])
  if string.sub(ARGV[i + 2], 1, 4) ~= 'mac:' then will_need(machine(mac_of(ARGV[i + 3]))) end
  if ARGV[i + 4] ~= '' then wanted[#wanted + 1] = ARGV[i + 4] end
  if ARGV[i + 7] ~= '' then wanted[#wanted + 1] = ARGV[i + 7] end
end
for i, address in ipairs(call('HMGET', KEYS[2], unpack(clients))) do
  holders[clients[i]] = address
  if address then wanted[#wanted + 1] = address end
end
if #wanted > 0 then
  for i, record in ipairs(call('HMGET', KEYS[1], unpack(wanted))) do keep_lease(wanted[i], record) end
end

-- An offer that nobody took up, or a quarantine that is over, leaves nothing behind: the address is as if never used.
for _, address in ipairs(call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, 100)) do
  local lease = lease_at(address)
  if lease then forget(address, lease) else call('ZREM', KEYS[6], address) end
end

-- The client's names: its MAC, then what else a reservation may go by.
local any_reserved = call('EXISTS', KEYS[4]) == 1
local function reserved_for_other(address, names)
  local owner = any_reserved and call('HGET', KEYS[5], address)
  return owner and not string.find(' ' .. names .. ' ', ' ' .. owner .. ' ', 1, true)
end
local function reserved_for(names)
  if not any_reserved then return nil end
  for name in string.gmatch(names, '%S+') do
    local address = call('HGET', KEYS[4], name)
    if address then return address end
  end
end
-- Firmware and the system that it starts are one machine, under whatever identities: either goes on with what the other
-- had. Two systems that share a MAC are not.
local function of_machine(lease, names, firmware)
  return lease.state ~= 'd' and (firmware or lease.state == 'f') and lease.mac == mac_of(names)
end
-- Free for this client: nobody else's by a reservation, and not held by anybody else now. A reserved address belongs to
-- the machine, whatever identity it uses.
local function free_for(address, lease, client, names, firmware)
  if reserved_for_other(address, names) then return false end
  if not lease or lease.client == client or lease.free <= now or of_machine(lease, names, firmware) then return true end
  return lease.state ~= 'd' and lease.mac == mac_of(names) and any_reserved and call('HGET', KEYS[5], address) and true
end
-- The address of a client on record, and its lease.
local function held_by(client)
  local address = address_of(client)
  local lease = address and lease_at(address)
  if lease and lease.client == client then return address, lease end
end
-- The same, or what its machine has: what firmware has just bound goes before all, it is what runs on.
local function kept_for(client, names, firmware)
  local own, lease = held_by(client)
  if own and string.sub(client, 1, 4) == 'mac:' then return own, lease end
  local address = address_of(machine(mac_of(names)))
  local other = address and lease_at(address)
  if not other or other.mac ~= mac_of(names) or other.state == 'd' then return own, lease end
  if other.state == 'f' and other.expires > now then return address, other end
  if not own and (other.free <= now or of_machine(other, names, firmware)) then return address, other end
  return own, lease
end
`

/** Writes what has changed. */
export const writeTable = `
-- In portions: what Lua can pass to one call is bounded.
local function write_all(command, key, words)
  for from = 1, #words, 1000 do call(command, key, unpack(words, from, math.min(from + 999, #words))) end
end
local records, gone, left, scores = {}, {}, { [KEYS[3]] = {}, [KEYS[6]] = {} }, { [KEYS[3]] = {}, [KEYS[6]] = {} }
for address in pairs(changed_leases) do
  local lease, set = leases[address], nil
  if lease then
    records[#records + 1] = address
    records[#records + 1] = string.format('%s%013d%013d%s %s', lease.state, lease.expires, lease.free, lease.mac,
      lease.client)
    set = held_by_state[lease.state]
    local scored = scores[set]
    scored[#scored + 1] = lease.free
    scored[#scored + 1] = address
  else gone[#gone + 1] = address end
  local before = set_before[address]
  if before and before ~= set then left[before][#left[before] + 1] = address end
end
write_all('HSET', KEYS[1], records)
write_all('HDEL', KEYS[1], gone)
for set, addresses in pairs(left) do write_all('ZREM', set, addresses) end
for set, scored in pairs(scores) do write_all('ZADD', set, scored) end
local held, unheld = {}, {}
for client in pairs(changed_holders) do
  if holders[client] then
    held[#held + 1] = client
    held[#held + 1] = holders[client]
  else unheld[#unheld + 1] = client end
end
write_all('HSET', KEYS[2], held)
write_all('HDEL', KEYS[2], unheld)
if taken then call('INCR', KEYS[8]) end
`
