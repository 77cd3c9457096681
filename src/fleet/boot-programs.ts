import { readFile } from 'node:fs/promises'
import { BootloomError } from '../config/errors.ts'

/** Network boot programs by the name that nodes ask for, and where Debian's package `ipxe` has them. */
const files = {
  'undionly.kpxe': '/usr/lib/ipxe/undionly.kpxe',
  'snponly.efi': '/usr/lib/ipxe/snponly.efi',
} as const

/** Reads every boot program into memory, once at start. Throws BOOT_PROGRAM_MISSING. */
export async function bootPrograms(): Promise<ReadonlyMap<string, Buffer>> {
  const read = async ([name, path]: [string, string]): Promise<[string, Buffer]> => {
    try {
      return [name, await readFile(path)]
    } catch (cause) {
      throw new BootloomError('BOOT_PROGRAM_MISSING', `${name} of the Debian package ipxe cannot be read`, {
        where: path,
        cause,
      })
    }
  }
  return new Map(await Promise.all(Object.entries(files).map(read)))
}
