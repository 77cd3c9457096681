import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../config/errors.ts'
import type { Entry } from '../repository/component.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import type { Lacking } from './absent.ts'
import { ownDirectory } from './base.ts'
import { plainDirectory, type SegmentPlan } from './plan.ts'

export type OnMiss = 'deny' | 'fetch'

const built = fileURLToPath(new URL('../../build/native/', import.meta.url))

/** Kernel modules of a node that may reach back. */
export const modulesOf: Record<OnMiss, readonly string[]> = { deny: [], fetch: ['fuse', 'overlay'] }

/**
 * What tells of misses on the node: the program that watches and the hashes of the names that it watches for, or the one
 * that reaches back and the tree of what there is to fetch. NATIVE_MISSING when they were not built.
 */
export async function planMisses(onMiss: OnMiss, { text, names }: Lacking, store: Store): Promise<SegmentPlan> {
  const directory = `${ownDirectory}/misses`
  const [program, data, content] =
    onMiss === 'fetch' ? (['reach', 'tree', Buffer.from(text)] as const) : (['watch', 'names', names] as const)
  const put = async (name: string, bytes: Uint8Array, mode: number): Promise<Entry> => {
    const digest: Digest = await store.write(bytes)
    return { path: `${directory}/${name}`, type: 'file', mode, uid: 0, gid: 0, size: bytes.length, digest }
  }
  return {
    name: 'misses',
    version: '',
    kind: 'misses',
    mtime: 0,
    entries: [
      plainDirectory(ownDirectory),
      plainDirectory(directory, 0o700),
      await put(program, await readProgram(program), 0o700),
      await put(data, content, 0o600),
    ],
  }
}

async function readProgram(name: string): Promise<Buffer> {
  try {
    return await readFile(`${built}${name}`)
  } catch (cause) {
    throw new BootloomError('NATIVE_MISSING', `${name} was not built for the node`, { where: `${built}${name}`, cause })
  }
}
