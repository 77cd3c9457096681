import { createReadStream } from 'node:fs'
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Store } from '../../store/store.ts'
import { eachOf } from '../each.ts'
import { type AptRoot, asMirrorError } from './apt.ts'
import type { ResolvedPackage } from './resolve.ts'

/**
 * Brings the .debs that the store lacks into it. apt fetches them by name and version, checks them against the signed
 * index, and goes on with what an interrupted run had begun.
 */
export async function fetchDebs(
  root: AptRoot,
  packages: readonly ResolvedPackage[],
  store: Store,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<void> {
  const missing: ResolvedPackage[] = []
  for (const one of packages) if (!(await store.has(one.deb))) missing.push(one)
  if (missing.length === 0) return
  progress({ step: 'fetch', detail: `${missing.length} packages`, fraction: 0 })
  const words = missing.map((one) => `${one.name}=${one.version}`)
  try {
    await root.apt('apt-get', ['download', '-q', '-o', 'APT::Status-Fd=2', ...words], {
      cwd: root.downloads,
      signal,
      onLine: (line) => {
        const percent = line.match(/^dlstatus:\d+:([\d.]+):/)?.[1]
        if (percent) progress({ step: 'fetch', detail: `${missing.length} packages`, fraction: Number(percent) / 100 })
      },
    })
  } catch (error) {
    throw asMirrorError(error)
  }
  await eachOf(missing, 4, async (one) => {
    signal?.throwIfAborted()
    const file = join(root.downloads, fileName(one))
    const { digest } = await store.writeStream(createReadStream(file))
    if (digest !== one.deb) {
      await unlink(file)
      throw new BootloomError('ARCHIVE_UNSAFE', `${one.name} ${one.version} is not what the index says`, {
        where: file,
      })
    }
  })
  // Only now: had we been stopped before, apt would have found them here.
  for (const name of await readdir(root.downloads)) await unlink(join(root.downloads, name))
}

/** As apt names its downloads. */
const fileName = (one: ResolvedPackage): string =>
  `${one.name}_${one.version.replaceAll('%', '%25').replaceAll(':', '%3a')}_${one.architecture}.deb`
