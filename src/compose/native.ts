import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../config/errors.ts'

const built = fileURLToPath(new URL('../../build/native/', import.meta.url))

/** Where a program in C is, once lab/native.sh has compiled it. */
export const programPath = (name: string): string => `${built}${name}`

/** A program of boot/native, as lab/native.sh compiled it. NATIVE_MISSING. */
export async function readProgram(name: string): Promise<Buffer> {
  try {
    return await readFile(programPath(name))
  } catch (cause) {
    throw new BootloomError('NATIVE_MISSING', `${name} was not built for the node`, { where: programPath(name), cause })
  }
}
