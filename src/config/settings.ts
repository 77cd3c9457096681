import { z } from 'zod'
import { checkOverlap, checkSubnet } from './subnets.ts'

/** The settings, as bootloom.yaml holds them. `docs/reference/settings.md` is generated from this schema. */

const ipv4 = z.ipv4()
const subnet = z
  .strictObject({
    subnet: z.cidrv4().describe('The subnet, as 10.77.0.0/24.'),
    range: z.tuple([ipv4, ipv4]).describe('First and last address given out dynamically.'),
    router: ipv4.optional().describe('Default gateway of the nodes.'),
    dns: z.array(ipv4).default([]).describe('Name servers of the nodes.'),
    domain: z.string().max(253).optional().describe('Domain name of the nodes.'),
    lease: z.int().min(60).max(31_536_000).default(3600).describe('Lease time in seconds.'),
  })
  .superRefine(checkSubnet)

export const settingsSchema = z.strictObject({
  state: z
    .string()
    .min(1)
    .default('/var/lib/bootloom')
    .describe('The one directory that all state lives in; a relative one counts from the settings file.'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('Least severe event that is logged, to standard error.'),
    })
    .prefault({}),
  redis: z
    .strictObject({
      url: z
        .url({ protocol: /^rediss?$/ })
        .optional()
        .describe('Your own Redis; without it, one is run.'),
    })
    .prefault({}),
  network: z
    .strictObject({
      interface: z
        .string()
        .regex(/^[^\s/]{1,15}$/)
        .optional()
        .describe('The boot interface. Nothing is served without it.'),
      address: ipv4.optional().describe('This server on it; its first IPv4 address unless named.'),
    })
    .prefault({}),
  dhcp: z
    .strictObject({
      mode: z
        .enum(['server', 'off'])
        .default('server')
        .describe('`server` gives out addresses; `off` leaves DHCP to another server.'),
      subnets: z
        .array(subnet)
        .superRefine(checkOverlap)
        .default([])
        .describe('What is given out; relayed requests choose by their giaddr.'),
      offerHold: z.int().min(5).max(600).default(60).describe('Seconds an offered address is held for its client.'),
    })
    .prefault({}),
  tftp: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Serve network boot programs by TFTP.'),
      port: z.int().min(1).max(65535).default(69).describe('UDP port; firmware asks 69.'),
    })
    .prefault({}),
  http: z.strictObject({ port: z.int().min(1).max(65535).default(8080).describe('Port that nodes ask.') }).prefault({}),
  api: z
    .strictObject({
      loopbackPort: z
        .int()
        .min(1)
        .max(65535)
        .optional()
        .describe('Also offer the admin API on 127.0.0.1 at this port.'),
    })
    .prefault({}),
  unknown: z
    .discriminatedUnion('action', [
      z.strictObject({ action: z.literal('reject') }).describe('Show its MAC and how to assign it; ask again.'),
      z.strictObject({ action: z.literal('local') }).describe('Boot from its own disk.'),
      z
        .strictObject({ action: z.literal('blueprint'), blueprint: z.string().describe('Name of the blueprint.') })
        .describe('Boot this blueprint.'),
    ])
    .default({ action: 'reject' })
    .describe('What a MAC without an assignment gets.'),
  compose: z
    .strictObject({
      fast: z.int().min(1).max(19).default(3).describe('zstd level at which a new bundle is published at once.'),
      thorough: z.int().min(1).max(22).default(19).describe('zstd level that follows in the background.'),
    })
    .prefault({}),
})

export type Settings = z.infer<typeof settingsSchema>
