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

/** Under pressure an offer is held only for as long as a client takes to choose (iPXE and OVMF: 4 s). Milliseconds. */
const shortHold = 10_000
/** As long as it may take another server to answer the REQUEST that we both heard. Milliseconds. */
const withdrawnHold = 3000

/** Each op answers a word: what it means stands at `Op` in lease-batch.ts. */
const ops = `
local op = {}

-- Half of the pool is merely held: somebody asks under ever new names (DHCP starvation).
local pressed = size > 0 and call('ZCARD', KEYS[6]) * 2 >= size
function op.offer(client, names, wanted, hold)
  if pressed then hold = math.min(hold, ${shortHold}) end
  local held, holding = held_by(client)
  local address = reserved_for(names)
  local lease = address and lease_at(address)
  if not address or not free_for(address, lease, client, names) then
    address, lease = held, holding
    if not held or not in_pool(held) or not free_for(held, holding, client, names) then
      address = wanted ~= '' and in_pool(wanted) and wanted
      lease = address and lease_at(address)
      if not address or not free_for(address, lease, client, names) then
        address, lease = never_used(client, names), nil
        if not address then
          address = ended_longest_ago(names)
          if not address then return '' end
          lease = lease_at(address)
        end
      end
    end
  end
  local known = lease and lease.client == client
  local bound = known and lease.state == 'b' and lease.expires > now
  if bound and lease.expires > now + hold then return '=' .. address end
  if held and held ~= address and holding.state == 'o' then forget(held, holding) end
  local ends = now + hold
  if bound then write(address, lease, client, mac_of(names), 'b', ends, math.max(lease.free, ends))
  else write(address, lease, client, mac_of(names), 'o', ends, ends) end
  return (known and '=' or '') .. address
end

-- A lease that ran out stays its client's for as long again: a server that is cut off from Redis may have renewed it.
local function bind(address, lease, client, names, lasting)
  write(address, lease, client, mac_of(names), 'b', now + lasting, now + lasting * 2)
  return '1'
end
function op.commit(client, names, address, lasting)
  if not in_pool(address) and reserved_for(names) ~= address then return '' end
  local lease = lease_at(address)
  if not free_for(address, lease, client, names) then return '' end
  if not lease or lease.client ~= client then
    local held, holding = held_by(client)
    if held then forget(held, holding) end
  end
  return bind(address, lease, client, names, lasting)
end
function op.restore(client, names, address, lasting)
  local lease = lease_at(address)
  if not lease and held_by(client) then return '' end
  if lease and (lease.client ~= client or lease.state ~= 'b') then return '' end
  if lease and lease.expires >= now + lasting then return '1' end
  return bind(address, lease, client, names, lasting)
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
  answers[#answers + 1] = op[ARGV[at + 1]](ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5]))
  at = at + 5
end
`

/** Many changes of one subnet at once. */
export const batchScript = [openTable, search, ops, writeTable, 'return answers'].join('\n')

/**
 * KEYS: reservations, reserved addresses. ARGV: name, address. Moves the reservation both ways; a lease that another
 * holds on the address runs out by itself.
 */
export const reserveScript = `
local owner = redis.call('HGET', KEYS[2], ARGV[2])
if owner and owner ~= ARGV[1] then return owner end
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then redis.call('HDEL', KEYS[2], before) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
return ''
`
