import { open } from 'node:fs/promises'
import type { Entry } from '../../repository/component.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { type ElfFacts, parseElf } from './elf.ts'

/** What a file's own bytes say it cannot run without. */
export type Facts =
  | ElfFacts
  /** `words` are what follows `#!`: the interpreter and its argument. */
  | { readonly kind: 'script'; readonly words: readonly string[] }
  | { readonly kind: 'plain' }

/** Contents never change under a digest, so what was read once holds for as long as the process lives. */
const known = new Map<Digest, Facts>()
const maximumKnown = 100_000

/** The kernel reads this much of a script's first line (BINPRM_BUF_SIZE). */
const headBytes = 256

/** Reads a file's facts from the store. What only looks like an ELF file is plain: it could not be run either. */
export async function factsOf(entry: Entry, store: Store): Promise<Facts> {
  if (entry.digest === undefined) return { kind: 'plain' }
  const found = known.get(entry.digest)
  if (found) return found
  const facts = await readFacts(entry.digest, store)
  if (known.size >= maximumKnown) known.clear()
  known.set(entry.digest, facts)
  return facts
}

async function readFacts(digest: Digest, store: Store): Promise<Facts> {
  const head = await headOf(digest, store)
  if (head.length >= 4 && head.readUInt32BE(0) === 0x7f454c46) {
    const elf = parseElf(await store.read(digest))
    return elf.kind === 'elf' ? elf : { kind: 'plain' }
  }
  if (head.toString('latin1', 0, 2) !== '#!') return { kind: 'plain' }
  const line = head.toString('utf8', 2).split('\n', 1)[0]!
  const words = line
    .trim()
    .split(/[ \t]+/)
    .filter(Boolean)
  return words.length > 0 ? { kind: 'script', words } : { kind: 'plain' }
}

async function headOf(digest: Digest, store: Store): Promise<Buffer> {
  if ((await store.size(digest)) === undefined) return store.read(digest)
  const file = await open(store.path(digest))
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
