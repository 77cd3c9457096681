import { z } from 'zod'
import { checkOverlap, checkSubnet } from './subnets.ts'

const ipv4 = z.ipv4()
const interfaceName = z.string().regex(/^[^\s/:]{1,15}$/)
const seconds = z.int().min(60).max(31_536_000)
const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes')

const optionValue = z.union([
  z.string().max(4096),
  z.number(),
  z.boolean(),
  z.array(z.union([z.string().max(4096), z.number()])).max(256),
])

/** DHCP options by name with a typed value, or by number with hexadecimal digits; the DHCP room knows names and types. */
export const namedOptionsSchema = z.record(z.string().max(64), optionValue)
export type NamedOptions = z.infer<typeof namedOptionsSchema>
export type OptionValue = z.infer<typeof optionValue>

const range = z.tuple([ipv4, ipv4])
const options = namedOptionsSchema.default({})

const reservation = z
  .strictObject({
    mac: z.string().optional().describe('The MAC that the address is kept for.'),
    clientId: z
      .string()
      .max(512)
      .optional()
      .describe('Or the client identifier (option 61), as 01:52:54:… or as text.'),
    uuid: z.guid().optional().describe('Or the machine’s UUID (option 97).'),
    circuitId: z.string().max(512).optional().describe('Or the relay’s circuit id (option 82.1), as bytes or as text.'),
    address: ipv4.describe('The address.'),
    options: options.describe('DHCP options of this client.'),
  })
  .refine(({ mac, clientId, uuid, circuitId }) => [mac, clientId, uuid, circuitId].filter(Boolean).length === 1, {
    message: 'needs one of mac, clientId, uuid and circuitId',
  })

const subnet = z
  .strictObject({
    subnet: z.cidrv4().describe('The subnet, as 10.77.0.0/24.'),
    interface: interfaceName
      .optional()
      .describe('The boot interface that it lies at, where the server has no address in it.'),
    range: range.optional().describe('First and last address given out dynamically.'),
    pools: z
      .array(
        z.strictObject({
          range: range.describe('First and last address.'),
          class: name.optional().describe('Only for clients of this class.'),
        }),
      )
      .default([])
      .describe('Several ranges, used up in this order; instead of `range`.'),
    router: ipv4.optional().describe('Default gateway of the nodes.'),
    dns: z.array(ipv4).default([]).describe('Name servers of the nodes.'),
    domain: z.string().max(253).optional().describe('Domain name of the nodes.'),
    lease: seconds.default(3600).describe('Lease time of running nodes, in seconds.'),
    firmwareLease: seconds.default(600).describe('Lease time of firmware and iPXE, in seconds; never above `lease`.'),
    options: options.describe('DHCP options of this subnet, by name or by number.'),
    reservations: z.array(reservation).default([]).describe('Addresses kept for clients.'),
  })
  .superRefine(checkSubnet)

const clientClass = z.strictObject({
  name: name.describe('Name of the class.'),
  match: z
    .strictObject({
      speaker: z
        .enum(['ipxe', 'pxe', 'http', 'os'])
        .optional()
        .describe('What speaks: iPXE, PXE firmware, HTTP Boot firmware, a running system.'),
      vendorClass: z.string().max(255).optional().describe('Option 60; * stands for anything.'),
      userClass: z.string().max(255).optional().describe('Option 77; * stands for anything.'),
      arch: z.array(z.int().min(0).max(65535)).optional().describe('Option 93, one of these.'),
      mac: z.string().max(17).optional().describe('MAC address; * stands for anything.'),
    })
    .describe('All that is named must hold.'),
  lease: seconds.optional().describe('Lease time in seconds.'),
  options: options.describe('DHCP options of its clients.'),
})

export const dhcpSchema = z.strictObject({
  mode: z
    .enum(['server', 'proxy', 'auto', 'off'])
    .default('server')
    .describe(
      '`server` gives out addresses; `proxy` tells firmware what to boot beside another server; `auto` is `proxy` when another server answers, else `server`; `off` leaves all to another server.',
    ),
  authoritative: z
    .boolean()
    .default(true)
    .describe('Answer for clients of another server, too: take over their addresses, or refuse them.'),
  probe: z
    .enum(['arp', 'off'])
    .default('arp')
    .describe('Ask on the wire whether an address is in use before a client is offered it for the first time.'),
  subnets: z
    .array(subnet)
    .superRefine(checkOverlap)
    .default([])
    .describe('What is given out; relayed requests choose by their giaddr.'),
  classes: z.array(clientClass).default([]).describe('Classes of clients; later ones stand over earlier ones.'),
  options: options.describe('DHCP options of all clients, by name (docs/reference/dhcp-options.md) or by number.'),
  offerHold: z.int().min(5).max(600).default(60).describe('Seconds an offered address is held for its client.'),
})

export const interfaceNameSchema = interfaceName
