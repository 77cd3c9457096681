import { readdirSync, readFileSync } from 'node:fs'

const directory = new URL('./golden/', import.meta.url)

/** The UDP payload of a captured packet: lines of hex; those with # say where it comes from. */
export function golden(name: string): Buffer {
  const lines = readFileSync(new URL(`${name}.hex`, directory), 'utf8').split('\n')
  return Buffer.from(lines.filter((line) => !line.startsWith('#')).join(''), 'hex')
}

export const goldenNames = readdirSync(directory)
  .filter((file) => file.endsWith('.hex'))
  .map((file) => file.slice(0, -'.hex'.length))
  .sort()
