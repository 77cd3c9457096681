import { openTable, writeTable } from './lease-table-script.ts'

/** An address that nobody has: from a place that follows from the client, so that it finds the same one again. */
const search = `
local function usable(n, names)
  local address = dotted(n)
  return not never[address] and not reserved_for_other(address, names) and address
end
local function unused_between(from, to, names)
  local n = from
  while n <= to do
    local bit = n - base
    if bit % 8 == 0 then
      -- Before the bit asked for, or none at all: the bitmap ends before it.
      local clear = call('BITPOS', KEYS[7], 0, bit / 8)
      if clear > bit then n = base + clear end
      if n > to then return nil end
      local address = usable(n, names)
      if address then return address end
    elseif call('GETBIT', KEYS[7], bit) == 0 then
      local address = usable(n, names)
      if address then return address end
    end
    n = n + 1
  end
end
local function never_used(client, names)
  local hash = tonumber(string.sub(redis.sha1hex(client), 1, 8), 16)
  for _, range in ipairs(ranges) do
    local start = range[1] + hash % (range[2] - range[1] + 1)
    start = math.max(range[1], start - (start - base) % 8)
    local address = unused_between(start, range[2], names) or unused_between(range[1], start - 1, names)
    if address then return address end
  end
end
-- Else the one whose lease ended longest ago.
local function ended_longest_ago(names)
  local from = 0
  while true do
    local ended = call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', from, 100)
    for _, address in ipairs(ended) do
      -- It may have been given away a moment ago, in this batch.
      local lease = lease_at(address)
      local free = not lease or lease.free <= now
      if free and in_pool(address) and not reserved_for_other(address, names) then return address end
    end
    if #ended < 100 then return nil end
    from = from + 100
  end
end
`

/** Whom an address is held for that a server has in reserve. */
export const serverPrefix = 'server:'

/** An address that a server has looked at already, and holds for whoever comes first. */
const spare = `
local function held_for_anybody(address, names)
  local lease = address ~= '' and in_pool(address) and lease_at(address)
  if not lease or string.sub(lease.client, 1, ${serverPrefix.length}) ~= '${serverPrefix}' then return nil end
  if not reserved_for_other(address, names) then return address, lease end
end
`

/** Under pressure an offer is held only for as long as a client takes to choose (iPXE and OVMF: 4 s). Milliseconds. */
const shortHold = 10_000
/** As long as it may take another server to answer the REQUEST that we both heard. Milliseconds. */
const withdrawnHold = 3000

/** Each op answers a word: what it means stands at `Op` in lease-batch.ts. */
const ops = `
local op = {}

-- Half of the pool is merely held: somebody asks under ever new names (DHCP starvation).
local pressed = size > 0 and call('ZCARD', KEYS[6]) * 2 >= size
function op.offer(client, names, wanted, hold, firmware, spare)
  local for_server = string.sub(client, 1, ${serverPrefix.length}) == '${serverPrefix}'
  if for_server and (call('ZCARD', KEYS[3]) + call('ZCARD', KEYS[6])) * 4 >= size * 3 then return '' end
  if pressed then hold = math.min(hold, ${shortHold}) end
  local held, holding = kept_for(client, names, firmware)
  local address = reserved_for(names)
  local lease = address and lease_at(address)
  if not address or not free_for(address, lease, client, names, firmware) then
    address, lease = held, holding
    if not held or not in_pool(held) or not free_for(held, holding, client, names, firmware) then
      address = wanted ~= '' and in_pool(wanted) and wanted
      lease = address and lease_at(address)
      if not address or not free_for(address, lease, client, names, firmware) then
        address, lease = held_for_anybody(spare, names)
        if not address then address = never_used(client, names) end
        if not address then
          address = ended_longest_ago(names)
          if not address then return '' end
          lease = lease_at(address)
        end
      end
    end
  end
  local known = lease and (lease.client == client or lease.mac == mac_of(names))
  local bound = known and (lease.state == 'b' or lease.state == 'f') and lease.expires > now
  if bound and lease.expires > now + hold then return '=' .. address end
  if held and held ~= address and holding.state == 'o' and holding.client == client then forget(held, holding) end
  local ends = now + hold
  if bound then write(address, lease, lease.client, lease.mac, lease.state, ends, math.max(lease.free, ends))
  else write(address, lease, client, mac_of(names), 'o', ends, ends) end
  return (known and '=' or '') .. address
end

-- A lease that ran out stays its client's for as long again: a server that is cut off from Redis may have renewed it.
local function bind(address, lease, client, names, lasting, firmware)
  write(address, lease, client, mac_of(names), firmware and 'f' or 'b', now + lasting, now + lasting * 2)
  return '1'
end
function op.commit(client, names, address, lasting, firmware)
  if not in_pool(address) and reserved_for(names) ~= address then return '' end
  local lease = lease_at(address)
  if not free_for(address, lease, client, names, firmware) then return '' end
  if not lease or lease.client ~= client then
    local held, holding = held_by(client)
    if held and held ~= address then forget(held, holding) end
  end
  return bind(address, lease, client, names, lasting, firmware)
end
function op.restore(client, names, address, lasting, firmware)
  local lease = lease_at(address)
  if not lease and held_by(client) then return '' end
  -- Offered: Redis was killed before what it had acknowledged was in its file.
  if lease and (lease.client ~= client or lease.state == 'r') then return '' end
  if lease and lease.state ~= 'o' and lease.expires >= now + lasting then return '1' end
  return bind(address, lease, client, names, lasting, firmware)
end
-- The record stays, so that the client gets the same address again while nobody needs it.
function op.release(client, names, address)
  local lease = lease_at(address)
  if not lease or lease.client ~= client or lease.expires <= now then return '' end
  write(address, lease, client, lease.mac, 'r', now, now)
  return '1'
end
-- The address is in use by somebody unknown: nobody gets it for that long.
function op.decline(client, names, address, hold)
  local lease = lease_at(address)
  if not lease or lease.client ~= client then return '' end
  write(address, lease, '', lease.mac, 'd', now + hold, now + hold)
  return '1'
end
-- An offer that the client did not take up ends soon, but not at once: the server that it did choose may share this
-- table, and be about to bind the very address. A bound lease stays.
function op.withdraw(client, names)
  local held, holding = held_by(client)
  if not held or holding.state ~= 'o' then return '' end
  local ends = math.min(holding.free, now + ${withdrawnHold})
  write(held, holding, client, holding.mac, 'o', ends, ends)
  return '1'
end

local answers = {}
while at < #ARGV do
  answers[#answers + 1] = op[ARGV[at + 1]](ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5]),
    ARGV[at + 6] == 'f', ARGV[at + 7])
  at = at + 7
end
answers[#answers + 1] = call('GET', KEYS[8]) or '0'
answers[#answers + 1] = taken and '1' or '0'
`

/** Many changes of one subnet at once. After their answers: how many takings there were before, and whether there was one. */
export const batchScript = [openTable, search, spare, ops, writeTable, 'return answers'].join('\n')

/**
 * KEYS: reservations, reserved addresses, takings. ARGV: name, address. Moves the reservation both ways; a lease that another
 * holds on the address runs out by itself.
 */
export const reserveScript = `
local owner = redis.call('HGET', KEYS[2], ARGV[2])
if owner and owner ~= ARGV[1] then return owner end
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then redis.call('HDEL', KEYS[2], before) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
redis.call('INCR', KEYS[3])
return ''
`
