import { BootloomError } from '../config/errors.ts'

const forms = [
  /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/,
  /^([0-9a-f]{2}-){5}[0-9a-f]{2}$/,
  /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/,
  /^[0-9a-f]{12}$/,
]

/** A MAC address in the one form used everywhere inside, `52:54:00:aa:00:01`; MAC_INVALID for anything else. */
export function parseMac(text: string): string {
  const lower = text.trim().toLowerCase()
  if (!forms.some((form) => form.test(lower))) {
    throw new BootloomError('MAC_INVALID', `'${text.slice(0, 40)}' is not a MAC address`)
  }
  return lower
    .replace(/[^0-9a-f]/g, '')
    .match(/../g)!
    .join(':')
}
