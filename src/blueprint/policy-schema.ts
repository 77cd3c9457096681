import { z } from 'zod'

/** The part of the blueprint format that says what a new bundle must show, and when it is promoted. */

const duration = z.string().regex(/^\d{1,4}(\.\d{1,3})?(x|s)$/, 'must be a factor such as 1.5x, or seconds such as 20s')
const bytes = z
  .string()
  .regex(/^\d{1,6}(\.\d{1,3})?(x| ?[kMG]?B)$/, 'must be a factor such as 1.25x, or bytes such as 300MB')

const mac = z
  .string()
  .regex(/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/, 'must be a MAC address such as 52:54:00:aa:00:01')
  .transform((text) => text.toLowerCase())

const thresholds = z.strictObject({
  boot: duration
    .default('1.5x')
    .describe(
      'Longest time from the boot script to ready: times that of the bundle before, or seconds (`20s`); 1.5x unless named.',
    ),
  memory: bytes
    .default('1.25x')
    .describe('Most RAM in use when ready: times that of the bundle before, or bytes (`300MB`).'),
  size: bytes
    .default('1.25x')
    .describe('Most bytes of kernel and files, unpacked: times those of the bundle before, or bytes (`120MB`).'),
  answers: z
    .enum(['status', 'same', 'any'])
    .default('status')
    .describe(
      '`status`: each answer has the status and kind that it had before; `same`: its lines, too, numbers and dates aside; `any`: only what the step expects counts.',
    ),
  ram: z.int().min(64).max(65536).default(1024).describe('MiB of the virtual machine.'),
  canary: mac.optional().describe('The node that tries a new bundle where no virtual machine can.'),
})

export const verify = z.union([z.literal(true), thresholds])

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time such as 02:30')
const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

const isZone = (zone: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

const maintenanceWindow = z
  .strictObject({
    days: z
      .array(z.enum(days))
      .min(1)
      .default([...days])
      .describe('Days on which it opens; all unless named.'),
    from: clock.describe('When it opens.'),
    to: clock.describe('When it closes; of the next day where that is not later.'),
    zone: z
      .string()
      .max(64)
      .refine(isZone, 'must be a time zone such as Europe/Vienna')
      .default('UTC')
      .describe('The time zone of both.'),
  })
  .describe('A time in which channels may move by themselves.')

export const promotion = z.enum(['auto', 'auto-security', 'manual'])
export const windows = z.array(maintenanceWindow).max(32)

/** What `verify: true` stands for is filled in. */
export type Thresholds = Omit<z.infer<typeof thresholds>, 'canary'> & { readonly canary?: string | undefined }
export type MaintenanceWindow = z.infer<typeof maintenanceWindow>

/** Undefined where nothing need be verified. */
export const thresholdsOf = (given: z.infer<typeof verify> | undefined): Thresholds | undefined =>
  given === true ? thresholds.parse({}) : given
