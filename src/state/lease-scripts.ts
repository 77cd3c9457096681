/**
 * The lease table's scripts. Redis runs each as one step, so two servers never give one address to two clients. Time is
 * Redis's own clock, so that all servers agree on what has expired.
 *
 * KEYS, for all: 1 leases, 2 holders, 3 expiry, 4 reservations, 5 reserved addresses.
 */
const prelude = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function lease_at(address)
  local json = redis.call('HGET', KEYS[1], address)
  return json and cjson.decode(json) or nil
end

local function forget(address)
  redis.call('HDEL', KEYS[1], address)
  redis.call('ZREM', KEYS[3], address)
end

local function write(address, client, mac, state, expires)
  local before = lease_at(address)
  if before and before.client ~= client and redis.call('HGET', KEYS[2], before.client) == address then
    redis.call('HDEL', KEYS[2], before.client)
  end
  redis.call('HSET', KEYS[1], address,
    cjson.encode({ client = client, mac = mac, state = state, expires = expires }))
  redis.call('ZADD', KEYS[3], expires, address)
  if client ~= '' then redis.call('HSET', KEYS[2], client, address) end
end

local function reserved_for_other(address, mac)
  local owner = redis.call('HGET', KEYS[5], address)
  return owner and owner ~= mac
end

-- Free for this client: nobody else's by a reservation, and not held by anybody else now. A reserved address belongs to
-- the MAC, whatever identity it uses: firmware and the running system may differ in theirs.
local function free_for(address, client, mac)
  if reserved_for_other(address, mac) then return false end
  local lease = lease_at(address)
  if not lease or lease.expires <= now or lease.client == client then return true end
  return lease.state ~= 'declined' and lease.mac == mac and redis.call('HGET', KEYS[5], address) == mac
end
`

/** Needs first, last and never to stand before it. */
const inPool = `
local function in_pool(address)
  local a, b, c, d = string.match(address, '^(%d+)%.(%d+)%.(%d+)%.(%d+)$')
  if not a then return false end
  local n = ((a * 256 + b) * 256 + c) * 256 + d
  return n >= first and n <= last and not never[address]
end
`

/** ARGV: client, mac, wanted address or '', first, last (numbers), hold in ms, then addresses never to give. */
export const offerScript = `${prelude}
local client, mac, wanted = ARGV[1], ARGV[2], ARGV[3]
local first, last, hold = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local never = {}
for i = 7, #ARGV do never[ARGV[i]] = true end
${inPool}
local function dotted(n)
  return string.format('%d.%d.%d.%d', math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256,
    math.floor(n / 256) % 256, n % 256)
end
local held = redis.call('HGET', KEYS[2], client)
local function offer(address)
  local lease = lease_at(address)
  if lease and lease.client == client and lease.state == 'bound' and lease.expires > now + hold then
    return address
  end
  if held and held ~= address then
    local old = lease_at(held)
    if old and old.client == client and old.state == 'offered' then forget(held) end
  end
  local state = 'offered'
  if lease and lease.client == client and lease.state == 'bound' and lease.expires > now then state = 'bound' end
  write(address, client, mac, state, now + hold)
  return address
end

local reserved = redis.call('HGET', KEYS[4], mac)
if reserved and free_for(reserved, client, mac) then return offer(reserved) end
if held and in_pool(held) and free_for(held, client, mac) then
  local lease = lease_at(held)
  if lease and lease.client == client then return offer(held) end
end
if wanted ~= '' and in_pool(wanted) and free_for(wanted, client, mac) then return offer(wanted) end

-- An address that nobody ever had: from a place that follows from the client, so that it finds the same one again even
-- when the table was lost.
local size = last - first + 1
local function never_used()
  local start = tonumber(string.sub(redis.sha1hex(client), 1, 8), 16) % size
  for i = 0, size - 1 do
    local address = dotted(first + (start + i) % size)
    if not never[address] and redis.call('HEXISTS', KEYS[1], address) == 0
      and not reserved_for_other(address, mac) then return address end
  end
end
-- Else the one whose lease ended longest ago.
local function ended_longest_ago()
  local from = 0
  while true do
    local ended = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', from, 100)
    for _, address in ipairs(ended) do
      if in_pool(address) and not reserved_for_other(address, mac) then return address end
    end
    if #ended < 100 then return nil end
    from = from + 100
  end
end
-- The search is long only where the pool is nearly used up: then look at the ended ones first.
local roomy = redis.call('HLEN', KEYS[1]) < size
local address = roomy and never_used() or ended_longest_ago() or (not roomy and never_used())
return address and offer(address) or false
`

/**
 * ARGV: client, mac, address, first, last, lease in ms, then addresses never to give. Answers 1 when the address is the
 * client's now, 0 when it is another's, or is neither of the pool nor reserved for the client.
 */
export const commitScript = `${prelude}
local client, mac, address = ARGV[1], ARGV[2], ARGV[3]
local first, last, lasting = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local never = {}
for i = 7, #ARGV do never[ARGV[i]] = true end
${inPool}
if not in_pool(address) and redis.call('HGET', KEYS[4], mac) ~= address then return 0 end
if not free_for(address, client, mac) then return 0 end
local held = redis.call('HGET', KEYS[2], client)
if held and held ~= address then
  local old = lease_at(held)
  if old and old.client == client then forget(held) end
end
write(address, client, mac, 'bound', now + lasting)
return 1
`

/** ARGV: client, address. The record stays, so that the client gets the same address again while nobody needs it. */
export const releaseScript = `${prelude}
local lease = lease_at(ARGV[2])
if not lease or lease.client ~= ARGV[1] or lease.expires <= now then return 0 end
write(ARGV[2], lease.client, lease.mac, 'released', now)
return 1
`

/** ARGV: client, address, hold in ms. The address is in use by somebody unknown: nobody gets it for that long. */
export const declineScript = `${prelude}
local lease = lease_at(ARGV[2])
if not lease or lease.client ~= ARGV[1] then return 0 end
write(ARGV[2], '', lease.mac, 'declined', now + tonumber(ARGV[3]))
return 1
`

/** ARGV: client. Takes back an offer that the client did not take up; a bound lease stays. */
export const withdrawScript = `${prelude}
local address = redis.call('HGET', KEYS[2], ARGV[1])
local lease = address and lease_at(address)
if not lease or lease.client ~= ARGV[1] or lease.state ~= 'offered' then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
forget(address)
return 1
`

/** ARGV: mac, address. Moves the reservation both ways; a lease that another holds on the address runs out by itself. */
export const reserveScript = `
local owner = redis.call('HGET', KEYS[5], ARGV[2])
if owner and owner ~= ARGV[1] then return owner end
local before = redis.call('HGET', KEYS[4], ARGV[1])
if before then redis.call('HDEL', KEYS[5], before) end
redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[5], ARGV[2], ARGV[1])
return ''
`
