import { open } from 'node:fs/promises'
import type { Store } from '../../store/store.ts'
import type { ResolvedPackage } from './resolve.ts'

/** Where the first member of an ar(5) archive has its date, in decimal digits and blanks: `!<arch>\n`, then its name. */
const dateAt = { start: 8 + 16, length: 12 }

/** Seconds since 1970 at which each package was built, by its name: dpkg-deb dates a .deb's first member with it. */
export async function datesOf(packages: readonly ResolvedPackage[], store: Store): Promise<Map<string, number>> {
  const dates = new Map<string, number>()
  for (const { name, deb } of packages) {
    // BLOB_MISSING where it is not there.
    if ((await store.size(deb)) === undefined) await store.read(deb)
    const file = await open(store.path(deb))
    try {
      const { buffer } = await file.read(Buffer.alloc(dateAt.length), 0, dateAt.length, dateAt.start)
      dates.set(name, Number.parseInt(buffer.toString('latin1'), 10) || 0)
    } finally {
      await file.close()
    }
  }
  return dates
}
