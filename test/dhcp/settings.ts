import type { z } from 'zod'
import { type Settings, settingsSchema } from '../../src/config/settings.ts'

/** DHCP settings as bootloom.yaml would give them, with their defaults. */
export const dhcpSettings = (dhcp: z.input<typeof settingsSchema>['dhcp']): Settings['dhcp'] =>
  settingsSchema.parse({ dhcp }).dhcp
