import { createHash } from 'node:crypto'
import { BootloomError } from '../config/errors.ts'

/** `sha256:` and 64 lower-case hexadecimal digits (OCI image spec, descriptor.md). */
export type Digest = `sha256:${string}`

export function isDigest(text: string): text is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(text)
}

export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new BootloomError('DIGEST_INVALID', `'${text.slice(0, 80)}' is not a digest`)
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export const hexOf = (digest: Digest): string => digest.slice('sha256:'.length)

/** The first 12 digits, for people. */
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12)

/** JSON with sorted keys and no white space: the same value gives the same bytes, so the same digest. */
export function canonicalJson(value: unknown): string {
  const keys = new Set<string>()
  gatherKeys(value, keys)
  // With a list of keys, JSON.stringify writes each object's in the order of the list.
  return JSON.stringify(value, [...keys].sort())
}

function gatherKeys(value: unknown, into: Set<string>): void {
  if (value === null || typeof value !== 'object') return
  if (Array.isArray(value)) {
    for (const one of value) gatherKeys(one, into)
    return
  }
  for (const [key, inner] of Object.entries(value)) {
    into.add(key)
    gatherKeys(inner, into)
  }
}
