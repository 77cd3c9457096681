import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { BootloomError } from '../config/errors.ts'
import { type Glob, parseGlob } from './glob.ts'

/**
 * A fragment is what one concern needs of a lean kernel's configuration. The files of templates/kernel hold lists of them:
 *
 *     - name: io-uring
 *       why: What is kept brings the library of io_uring.
 *       when:
 *         paths: ["/usr/lib/**\/liburing.so*"]
 *       options:
 *         IO_URING: y
 *
 * It is chosen where one of its conditions holds; without `when` always.
 * - `paths`: the bundle keeps a path that matches a glob (src/blueprint/glob.ts);
 * - `hardware`: a node has a device with this modalias, in which `*` stands for anything, or with this PCI id
 *   (`8086:100e`, vendor and device); `unstated`: nothing is known of the nodes' hardware;
 * - `bundle`: the bundle is made so that the node needs it;
 * - `with`: one of these fragments is chosen.
 */
export const kernelOption = z
  .string()
  .regex(/^[A-Z0-9_]+$/, 'must be the name of a kernel option without CONFIG_, such as IPV6')
export const kernelValue = z.union([
  z.int(),
  z
    .string()
    .max(200)
    .regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/, 'must be y, n, a number or a text without quotes'),
])

/** What a bundle wants of its kernel, beside what its files do. */
const kernelWants = ['squashfs', 'fuse', 'learn'] as const
export type KernelWant = (typeof kernelWants)[number]

const fragmentSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/),
  why: z.string().min(1),
  when: z
    .strictObject({
      paths: z.array(z.string().regex(/^\//)).min(1).optional(),
      hardware: z.array(z.string().min(1)).min(1).optional(),
      unstated: z.literal(true).optional(),
      bundle: z.array(z.enum(kernelWants)).min(1).optional(),
      with: z.array(z.string()).min(1).optional(),
    })
    .optional(),
  options: z.record(kernelOption, kernelValue).refine((options) => Object.keys(options).length > 0, 'names no option'),
})

interface Device {
  /** As the fragment names it. */
  readonly text: string
  matches(modalias: string): boolean
}

export interface KernelFragment {
  readonly name: string
  readonly why: string
  /** Undefined: always. */
  readonly when:
    | {
        readonly paths: readonly Glob[]
        readonly hardware: readonly Device[]
        readonly unstated: boolean
        readonly bundle: readonly KernelWant[]
        readonly with: readonly string[]
      }
    | undefined
  readonly options: Readonly<Record<string, string | number>>
}

const shipped = fileURLToPath(new URL('../../templates/kernel/', import.meta.url))

/** Reads every fragment of a directory, files in the order of their names. Throws KERNEL_FRAGMENT_INVALID. */
export async function loadKernelFragments(directory = shipped): Promise<KernelFragment[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort()
  const fragments: KernelFragment[] = []
  for (const file of files) fragments.push(...parseFragments(await readFile(join(directory, file), 'utf8'), file))
  const names = fragments.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  const unknown = fragments.flatMap(({ when }) => when?.with ?? []).find((name) => !names.includes(name))
  if (twice !== undefined) throw invalid(directory, [`two fragments are called ${twice}`])
  if (unknown !== undefined) throw invalid(directory, [`no fragment is called ${unknown}`])
  return fragments
}

export function parseFragments(text: string, file: string): KernelFragment[] {
  const document = parseDocument(text, { prettyErrors: false })
  const [broken] = document.errors
  if (broken) throw invalid(file, [broken.message])
  const parsed = z.array(fragmentSchema).safeParse(document.toJS())
  if (!parsed.success) {
    throw invalid(
      file,
      parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`),
    )
  }
  return parsed.data.map(({ name, why, when, options }) => ({
    name,
    why,
    when: when && {
      paths: (when.paths ?? []).map(parseGlob),
      hardware: (when.hardware ?? []).map(parseDevice),
      unstated: when.unstated ?? false,
      bundle: when.bundle ?? [],
      with: when.with ?? [],
    },
    options,
  }))
}

/** A modalias with `*` for anything, or a PCI id (kernel document PCI/pci, `MODULE_DEVICE_TABLE`). */
function parseDevice(text: string): Device {
  const [, vendor, device] = text.match(/^([0-9a-f]{4}):([0-9a-f]{4})$/) ?? []
  const pattern = vendor && device ? `pci:v0000${vendor}d0000${device}sv*` : text
  const source = pattern.split('*').map((part) => part.replace(/[^\w]/g, '\\$&'))
  const expression = new RegExp(`^${source.join('.*')}$`, 'i')
  return { text, matches: (modalias) => expression.test(modalias) }
}

const invalid = (where: string, details: string[]): BootloomError =>
  new BootloomError('KERNEL_FRAGMENT_INVALID', 'the fragments of kernel configurations do not fit their format', {
    where,
    details,
  })
