import { posix } from 'node:path'

/** Every path that existed before the application started, with the target of each symlink. */
export class World {
  readonly #links: ReadonlyMap<string, string>
  readonly #paths: ReadonlySet<string>

  constructor(paths: Iterable<string>, links: ReadonlyMap<string, string>) {
    this.#paths = new Set(paths).add('/')
    this.#links = links
  }

  /** From what `find -printf '%y\t%P\0%l\0'` wrote. */
  static fromListing(listing: Buffer): World {
    const fields = listing.toString('utf8').split('\0')
    const paths: string[] = []
    const links = new Map<string, string>()
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const [type, ...rest] = fields[index]!.split('\t')
      const path = `/${rest.join('\t')}`
      paths.push(path)
      if (type === 'l') links.set(path, fields[index + 1]!)
    }
    return new World(paths, links)
  }

  has(path: string): boolean {
    return this.#paths.has(path)
  }

  isLink(path: string): boolean {
    return this.#links.has(path)
  }

  /** Where a path leads, symlinks followed as the kernel does (path_resolution(7)), and the symlinks walked. */
  resolve(path: string, followLast: boolean): { path: string; walked: string[] } {
    // From the last part to the first: taking from the end is cheap, and every path of a stack comes through here.
    const left = partsOf(path).reverse()
    const walked: string[] = []
    let here = '/'
    while (left.length > 0) {
      const part = left.pop()!
      const next = part === '..' ? posix.dirname(here) : here === '/' ? `/${part}` : `${here}/${part}`
      const target = this.#links.get(next)
      if (target === undefined || (left.length === 0 && !followLast) || walked.length >= 40) {
        here = next
        continue
      }
      walked.push(next)
      if (target.startsWith('/')) here = '/'
      left.push(...partsOf(target).reverse())
    }
    return { path: here, walked }
  }
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')
