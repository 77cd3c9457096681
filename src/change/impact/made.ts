import type { Component, Entry } from '../../repository/component.ts'
import type { Digest } from '../../store/digest.ts'

/**
 * Files that no package holds, but that installing one makes of what it holds: a newer package makes another one. Without
 * this, a newer ca-certificates would matter to nobody, for what bundles keep of it is the one file made of all of it.
 */

const certificates = { package: 'ca-certificates', below: '/usr/share/ca-certificates/', makes: '/etc/ssl/certs/' }

/** Made of the names of all libraries (ldconfig(8)). */
export const libraryCache = '/etc/ld.so.cache'
const library = /^\/usr\/(?:local\/)?lib(?:\/x86_64-linux-gnu)?\/[^/]+\.so(?:\.[^/]*)?$/

/** The names in a component that the libraries' cache is made of. */
export const libraryNames = ({ entries }: Component): string[] =>
  entries.flatMap(({ path }) => (library.test(path) ? [path] : []))

/** Whether something kept would be made of a file that comes new. */
export const isMadeInto = (path: string, made: readonly string[]): boolean =>
  path.startsWith(certificates.below) && made.some((kept) => kept.startsWith(certificates.makes))

/** What a selection keeps of the files that installing made. */
export interface Made {
  readonly paths: readonly string[]
  /** Content → path; of those that may be copies. */
  readonly contents: ReadonlyMap<Digest, string>
}

export function madeFiles(configuration: readonly Entry[]): Made {
  const files = configuration.filter(({ type }) => type !== 'dir')
  return {
    paths: files.map(({ path }) => path).filter((path) => path === libraryCache || path.startsWith(certificates.makes)),
    contents: new Map(files.flatMap(({ digest, size, path }) => (digest && size > 0 ? [[digest, path] as const] : []))),
  }
}

/**
 * The files of a component that something kept was made of: copied word for word (as ucf(1) and many a postinst do), or
 * known to be.
 */
export function sourcesOf({ name, entries }: Component, made: Made): Map<Entry, string> {
  const certificate = made.paths.find((path) => path.startsWith(certificates.makes))
  const isCertificate = ({ path }: Entry) => name === certificates.package && path.startsWith(certificates.below)
  const found = new Map<Entry, string>()
  for (const entry of entries) {
    const copy = entry.digest && made.contents.get(entry.digest)
    if (copy !== undefined) found.set(entry, copy)
    else if (certificate !== undefined && entry.type === 'file' && isCertificate(entry)) found.set(entry, certificate)
  }
  return found
}
