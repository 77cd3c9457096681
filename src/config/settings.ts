import { z } from 'zod'
import { dhcpSchema, interfaceNameSchema } from './dhcp-settings.ts'
import { rate } from './units.ts'

/** The settings, as bootloom.yaml holds them. `docs/reference/settings.md` is generated from this schema. */

const ipv4 = z.ipv4()
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
      interface: interfaceNameSchema.optional().describe('The boot interface. Nothing is served without it.'),
      address: ipv4.optional().describe('This server on it; its first IPv4 address unless named.'),
      interfaces: z
        .array(interfaceNameSchema)
        .default([])
        .describe('Further boot interfaces, each with its first IPv4 address.'),
      routerAdvertisements: z
        .enum(['auto', 'on', 'off'])
        .default('auto')
        .describe(
          "`on` has radvd advertise a router of lifetime 0, nobody's router, which spares iPXE a wait of 13 to 16 s; " +
            '`auto` does where radvd is installed, the interface speaks IPv6, and no other router advertises itself on it.',
        ),
    })
    .prefault({}),
  dhcp: dhcpSchema.prefault({}),
  boot: z
    .strictObject({
      programs: z
        .strictObject({
          bios: z.string().min(1).default('/usr/lib/ipxe/undionly.kpxe').describe('For BIOS firmware.'),
          x64Uefi: z.string().min(1).default('/usr/lib/ipxe/snponly.efi').describe('For UEFI on x86-64.'),
          ia32Uefi: z.string().min(1).optional().describe('For UEFI on 32-bit x86; Debian has none.'),
          arm64Uefi: z.string().min(1).optional().describe('For UEFI on arm64; Debian has none.'),
        })
        .prefault({}),
    })
    .prefault({}),
  tftp: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Serve network boot programs by TFTP.'),
      port: z.int().min(1).max(65535).default(69).describe('UDP port; firmware asks 69.'),
      singlePort: z
        .boolean()
        .default(false)
        .describe('Also send files from that port, for firewalls that pass no other; most clients take it.'),
      blockSize: z
        .int()
        .min(512)
        .max(65464)
        .default(1468)
        .describe('Largest block in bytes. 1468 fits the MTU of Ethernet; larger ones travel in fragments.'),
      sessions: z
        .strictObject({
          perClient: z.int().min(1).max(10_000).default(32).describe('Transfers at once to one address.'),
          total: z
            .int()
            .min(1)
            .max(100_000)
            .default(1024)
            .describe('Transfers at once in all, on each boot interface.'),
        })
        .prefault({}),
    })
    .prefault({}),
  http: z
    .strictObject({
      port: z.int().min(1).max(65535).default(8080).describe('Port that nodes ask.'),
      bandwidth: z
        .strictObject({
          total: rate.optional().describe('Most that all nodes together are sent, in bytes a second or as 1 GB/s.'),
          perNode: rate.optional().describe('Most that one address is sent, in bytes a second or as 100 MB/s.'),
        })
        .prefault({}),
      admission: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .describe('Nodes that may download at once; the others wait their turn. Absent: all.'),
      connections: z
        .strictObject({
          perAddress: z.int().min(1).max(100_000).default(256).describe('Connections that one address may hold.'),
          total: z
            .int()
            .min(1)
            .max(1_000_000)
            .default(16_384)
            .describe('Connections held in all, on each boot interface.'),
        })
        .prefault({}),
      caches: z
        .array(
          z.strictObject({
            subnet: z.cidrv4().describe('The nodes that it stands next to, as 10.77.3.0/24.'),
            url: z
              .url({ protocol: /^http$/ })
              .transform((url) => url.replace(/\/+$/, ''))
              .describe('The cache, as http://10.77.3.2:8080.'),
          }),
        )
        .default([])
        .describe('Rack caches, which nodes fetch bundles from; docs/guides/rack-cache.md.'),
    })
    .prefault({}),
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
  fleet: z
    .strictObject({
      tries: z
        .int()
        .min(1)
        .max(100)
        .default(2)
        .describe('Times that a node is given a bundle without reporting ready, before it gets another one.'),
      deadline: z
        .int()
        .min(30)
        .max(86_400)
        .default(600)
        .describe('Seconds that a node has from its start to report ready; then it boots anew.'),
      heartbeat: z
        .int()
        .min(1)
        .max(3600)
        .default(15)
        .describe('Seconds between two questions of a running node for what it is to do.'),
    })
    .prefault({}),
  security: z
    .strictObject({
      tracker: z
        .string()
        .min(1)
        .optional()
        .describe(
          "The Debian security tracker's JSON: a file or a URL (security-tracker.debian.org/tracker/data/json).",
        ),
      osv: z
        .string()
        .min(1)
        .optional()
        .describe(
          'OSV records: a file or a URL of JSON (one record, a list, one a line), or a directory of such files.',
        ),
    })
    .prefault({}),
  updates: z
    .strictObject({
      every: z
        .number()
        .min(0.1)
        .max(10_080)
        .optional()
        .describe(
          'Minutes between two looks at what the sources offer; what is new becomes a change. Only when asked, unless named.',
        ),
    })
    .prefault({}),
  verify: z
    .strictObject({
      by: z
        .enum(['auto', 'machine', 'canary'])
        .default('auto')
        .describe('What tries a new bundle: a virtual machine, a canary node, or the latter where the former cannot.'),
      canary: z
        .string()
        .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, 'must be a MAC address such as 52:54:00:aa:00:01')
        .optional()
        .describe('The node that tries new bundles of blueprints that name none of their own.'),
      deadline: z.int().min(10).max(3600).default(180).describe('Seconds that a virtual machine has to become ready.'),
      canaryDeadline: z
        .int()
        .min(30)
        .max(604_800)
        .default(3600)
        .describe(
          'Seconds until the canary must be ready with the bundle. It is told to boot anew, or power-cycled; without an agent and a power controller somebody has to.',
        ),
    })
    .prefault({}),
  compose: z
    .strictObject({
      fast: z.int().min(1).max(19).default(3).describe('zstd level at which a new bundle is published at once.'),
      thorough: z.int().min(1).max(22).default(19).describe('zstd level that follows in the background.'),
    })
    .prefault({}),
})

export type Settings = z.infer<typeof settingsSchema>
