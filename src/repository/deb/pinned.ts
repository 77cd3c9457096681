import { appendFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import { debsOfComponent } from '../../state/components.ts'
import { type Digest, hexOf } from '../../store/digest.ts'
import type { RepositoryContext } from '../context.ts'
import type { PinnedPackage } from '../request.ts'
import type { AptRoot } from './apt.ts'

/**
 * Makes apt prefer each package at its pinned version, also over newer ones, where it installs the package at all
 * (apt_preferences(5)); the root was opened just now, without any. What the archive has no more comes from the store, as a repository of its own beside the suites.
 */
export async function applyPins(
  root: AptRoot,
  pins: readonly PinnedPackage[],
  context: RepositoryContext,
): Promise<void> {
  const kept = join(root.directory, 'pinned')
  const source = join(root.directory, 'sources', 'pinned.list')
  await rm(kept, { recursive: true, force: true })
  await rm(source, { force: true })
  await appendFile(join(root.directory, 'preferences'), pins.map(preferenceOf).join('\n'))
  const debs = (await Promise.all(pins.map((pin) => storedDeb(pin, context)))).filter((deb) => deb !== undefined)
  if (debs.length === 0) return
  await mkdir(kept, { recursive: true })
  const stanzas = await Promise.all(debs.map((deb) => stanzaOf(deb, kept, context)))
  await writeFile(join(kept, 'Packages'), stanzas.join('\n'))
  // Every .deb was checked against the signed index when it was fetched, and is named here by its digest.
  await writeFile(source, `deb [trusted=yes] copy:${encodeURI(kept)} ./\n`)
}

const preferenceOf = ({ name, version }: PinnedPackage): string =>
  `Package: ${name}\nPin: version ${version}\nPin-Priority: 1001\n`

async function storedDeb({ name, version }: PinnedPackage, context: RepositoryContext): Promise<Digest | undefined> {
  for (const deb of await debsOfComponent(context.state.redis, name, version)) {
    if (await context.store.has(deb)) return deb
  }
  return undefined
}

async function stanzaOf(deb: Digest, directory: string, { store }: RepositoryContext): Promise<string> {
  const file = `${hexOf(deb).slice(0, 32)}.deb`
  await symlink(store.path(deb), join(directory, file))
  const control = await run('dpkg-deb', ['--field', store.path(deb)])
  return `${control.trimEnd()}\nFilename: ./${file}\nSize: ${await store.size(deb)}\nSHA256: ${hexOf(deb)}\n`
}

/** PIN_UNAVAILABLE when a package would be installed at another version than its pin says. */
export function refuseUnpinned(
  packages: readonly { readonly name: string; readonly version: string }[],
  pins: readonly PinnedPackage[],
): void {
  for (const { name, version } of pins) {
    const found = packages.find((one) => one.name === name)
    if (found === undefined || found.version === version) continue
    throw new BootloomError('PIN_UNAVAILABLE', `${name} ${version} is neither in the archive nor in the store`, {
      where: name,
      details: [`the archive has ${found.version}`],
    })
  }
}
