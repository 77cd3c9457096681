import { z } from 'zod'
import { kernelOption, kernelValue } from './kernel-fragments.ts'
import { promotion, verify, windows } from './policy-schema.ts'
import { absolutePath, listedService, refuseCircles, start, unitName } from './service-schema.ts'
import { port, probe, workloadStep } from './step-schema.ts'

/**
 * The blueprint format. This schema is the single source: YAML is checked against it, `docs/reference/blueprint.md` and
 * `templates/blueprints/blueprint.schema.json` (for editors) are generated from it with `npm run docs`.
 */

const packageName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?$/, 'must be a Debian package name, or NAME=VERSION')

const debSource = z.strictObject({
  deb: z
    .strictObject({
      suite: z
        .string()
        .regex(/^[a-z][a-z0-9-]*$/)
        .default('bookworm')
        .describe('The Debian suite.'),
      updates: z.boolean().default(true).describe('Also draw on SUITE-updates.'),
      security: z.boolean().default(true).describe('Also draw on SUITE-security.'),
      packages: z.array(packageName).min(1).describe('Package names; NAME=VERSION pins one. Dependencies follow.'),
    })
    .describe('Packages of a Debian suite, with their dependencies.'),
})

const treeSource = z.strictObject({
  tree: z
    .strictObject({
      path: z.string().min(1).max(4096).describe('A directory on the server; relative to the blueprint file.'),
      at: absolutePath.describe('Where it stands on the node.'),
      owner: z
        .string()
        .regex(/^[0-9]+:[0-9]+$/, 'must be UID:GID in numbers')
        .default('0:0')
        .describe('UID:GID of every file.'),
      trim: z.boolean().default(false).describe('Keep only what was observed, instead of the whole tree.'),
    })
    .describe('A directory on the server, watched: every settled state is a new component version.'),
})

const addedFile = z
  .strictObject({
    path: absolutePath,
    content: z.string().max(1_048_576).optional().describe('The text of the file.'),
    from: z.string().max(4096).optional().describe('A file on the server; relative to the blueprint file.'),
    mode: z
      .string()
      .regex(/^0?[0-7]{3,4}$/, 'must be an octal mode')
      .default('0644'),
    owner: z
      .string()
      .regex(/^[0-9]+:[0-9]+$/, 'must be UID:GID in numbers')
      .default('0:0'),
  })
  .refine((file) => (file.content === undefined) !== (file.from === undefined), 'needs either content or from')

export const blueprintSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes, 63 at most')
      .describe('The name of the blueprint.'),
    description: z.string().max(400).optional(),
    stack: z
      .array(z.union([debSource, treeSource]))
      .min(1)
      .describe('Where components come from.'),
    kernel: z
      .strictObject({
        flavour: z
          .enum(['cloud', 'generic', 'lean'])
          .default('cloud')
          .describe(
            "Debian's cloud or generic kernel, or `lean`: one built from Debian's source for the blueprint and its nodes.",
          ),
        repack: z
          .boolean()
          .default(false)
          .describe("Compress Debian's kernel anew, smaller; its signature is lost by that."),
        hardware: z
          .array(z.string().regex(/^([0-9a-f]{4}:[0-9a-f]{4}|[\x21-\x7e]{3,500})$/i))
          .min(1)
          .max(1000)
          .optional()
          .describe(
            "The nodes' devices: modaliases, as /sys/bus/pci/devices/*/modalias has them, or PCI ids such as `8086:1533`.",
          ),
        fragments: z
          .array(z.string().regex(/^[a-z0-9-]+$/))
          .default([])
          .describe('Of a lean kernel: fragments of templates/kernel beside those chosen by what is seen.'),
        options: z
          .record(kernelOption, kernelValue)
          .default({})
          .describe('Of a lean kernel: options of its configuration, without CONFIG_, such as `IPV6: n`.'),
        modules: z
          .array(z.string().regex(/^[A-Za-z0-9_-]+$/))
          .default(['virtio_pci', 'virtio_net'])
          .describe('Modules by name; what they depend on follows. A lean kernel has none.'),
        cmdline: z
          .string()
          .max(1024)
          .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
          .default('')
          .describe('More words for the kernel command line.'),
        kexec: z
          .boolean()
          .optional()
          .describe(
            'Whether a running node that is told to boot anew jumps into it without its firmware; unless said, with the cloud kernel it does.',
          ),
      })
      .prefault({}),
    root: z
      .enum(['auto', 'files', 'squashfs'])
      .default('auto')
      .describe(
        'How the packages stand in the RAM of a node: as files, or compressed in one image of which what is touched is unpacked; `auto`: an image where they are large.',
      ),
    start: start.optional().describe('How the application is started, where no unit of the stack says so.'),
    service: unitName.optional().describe('The systemd unit of the stack that says how the application is started.'),
    services: z
      .array(listedService)
      .min(1)
      .max(32)
      .superRefine(refuseCircles)
      .optional()
      .describe('Several services instead of one, with their order.'),
    probe: probe.describe('What tells that the application is up; the same on the watched run and on the node.'),
    workload: z.array(workloadStep).max(1000).default([]).describe('What to drive while watching, after the probe.'),
    keep: z.array(z.string().max(4096)).default([]).describe('Globs of paths kept whether observed or not.'),
    drop: z.array(z.string().max(4096)).default([]).describe('Globs of paths left out whatever asks for them.'),
    granularity: z
      .strictObject({
        page: z
          .array(z.string().max(4096))
          .default([])
          .describe(
            'Globs of read-only files of the packages of which a node gets only the pages that were read while the application was watched, and all of their code.',
          ),
        code: z
          .array(z.string().max(4096))
          .default([])
          .describe(
            'Globs of libraries that the application is linked to and hardly calls: of these, code that did not run is left out as well. With `onMiss: fetch` it comes when it is called after all; with `deny` that ends the process.',
          ),
      })
      .prefault({})
      .describe('How much of a file is kept: all of it, unless named here.'),
    files: z.array(addedFile).default([]).describe('Files added to the bundle.'),
    onMiss: z
      .enum(['deny', 'fetch'])
      .default('deny')
      .describe(
        'What a file is that the stack has and the bundle lacks, on a running node: not there, and told to the admin, or fetched from the repository.',
      ),
    ports: z.array(port).default([]).describe('Ports that the application serves on.'),
    writable: z
      .array(
        z.strictObject({
          path: absolutePath,
          owner: z
            .string()
            .regex(/^[a-z_][a-z0-9_-]*$/)
            .default('root'),
          mode: z
            .string()
            .regex(/^0?[0-7]{3,4}$/)
            .default('0755'),
        }),
      )
      .default([])
      .describe('Directories made at start, such as those below /run.'),
    verify: verify
      .optional()
      .describe(
        'Boot a new bundle in a virtual machine and drive it over the network before `stable` moves to it; `true` takes all as it stands here.',
      ),
    promote: promotion
      .default('auto')
      .describe(
        'Who moves `stable` to a new bundle: `auto`, Bootloom; `auto-security`, Bootloom for security updates and an admin for all else; `manual`, an admin.',
      ),
    windows: windows.default([]).describe('When Bootloom may move `stable`; at any time unless named.'),
  })
  .superRefine(({ start, service, services, kernel }, context) => {
    const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', message, path })
    if (kernel.flavour === 'lean') {
      if (kernel.repack) refuse(['kernel', 'repack'], "is for Debian's kernels; a lean one is packed as tightly")
    } else if (kernel.fragments.length > 0) refuse(['kernel', 'fragments'], 'is for the lean flavour')
    else if (Object.keys(kernel.options).length > 0) refuse(['kernel', 'options'], 'is for the lean flavour')
    const given = Object.entries({ start, service, services }).flatMap(([key, value]) => (value ? [key] : []))
    if (given.length > 1) {
      context.addIssue({ code: 'custom', message: `takes one of ${given.join(' and ')}`, path: [given[1]!] })
    }
  })

export type Blueprint = z.infer<typeof blueprintSchema>

/** Whether something stands between a new bundle and `stable`: it is then not published at once. */
export const isGated = ({ verify, promote, windows }: Blueprint): boolean =>
  verify !== undefined || promote !== 'auto' || windows.length > 0
