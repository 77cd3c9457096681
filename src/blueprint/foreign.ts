import { z } from 'zod'
import { blueprintSchema } from './schema.ts'

/**
 * The other kind of blueprint: a kernel, initial ramdisks and a command line that somebody else made, such as a
 * distribution's installer or live image. Nothing of it is observed or woven; it is fetched, kept and served.
 */

const sha256 = z
  .string()
  .regex(/^(sha256:)?[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')
  .transform((text) => text.replace(/^sha256:/, ''))

const from = z.string().min(1).max(4096).describe('A file on the server, relative to the blueprint file, or a URL.')

const file = z.union([
  from.transform((text): { from: string; sha256?: string | undefined } => ({ from: text })),
  z.strictObject({ from, sha256: sha256.optional().describe('Its SHA-256; another file is refused.') }),
])

/** What may stand in the command line in double braces; filled in for each boot of each node. */
const cmdlinePlaces = ['mac', 'server', 'hostname'] as const

const cmdline = z
  .string()
  .max(1024)
  .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
  .refine(
    (text) => [...text.matchAll(/\{\{(.*?)\}\}/g)].every(([, name]) => cmdlinePlaces.some((place) => place === name)),
    `knows {{${cmdlinePlaces.join('}}, {{')}}} and no other`,
  )

export const foreignSchema = z.strictObject({
  name: blueprintSchema.shape.name,
  description: blueprintSchema.shape.description,
  foreign: z
    .strictObject({
      kernel: file.describe('The kernel.'),
      initrds: z.array(file).max(32).default([]).describe('Initial ramdisks, in the order in which they are unpacked.'),
      cmdline: cmdline
        .default('')
        .describe('The kernel command line; {{mac}}, {{server}} and {{hostname}} are filled in.'),
    })
    .describe('What is booted as it is.'),
})

export type ForeignBlueprint = z.infer<typeof foreignSchema>
export type ForeignFile = z.infer<typeof file>

export const isUrl = (place: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(place)
