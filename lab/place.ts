import { join } from 'node:path'
import { BootloomError } from '../src/config/errors.ts'

/** Where a lab lives. Its network namespace has its name, so labs of different names run side by side. */
export interface Place {
  readonly name: string
  readonly directory: string
}

const defaultName = 'bootloom-lab'

/** The lab's own network: what stands on its bridge. */
export { network } from '../src/machine/namespace.ts'

export interface PlaceOptions {
  /** Default `bootloom-lab`. */
  readonly name?: string
  /** Default /var/lib/NAME: a namespace belongs to the machine, and so does the lab; a short path suits its sockets. */
  readonly directory?: string
}

/** A Unix socket's path holds 107 bytes (unix(7)); the longest of ours below the directory is `state/redis/redis.sock`. */
const longestDirectory = 107 - '/state/redis/redis.sock'.length

export function placeOf(options: PlaceOptions = {}): Place {
  const name = options.name ?? defaultName
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) {
    throw new BootloomError('USAGE', `"${name}" is no name for a lab`, {
      hint: 'Use lower-case letters, digits and dashes, 40 at most, beginning with a letter.',
    })
  }
  const directory = options.directory ?? join('/var/lib', name)
  if (!directory.startsWith('/') || Buffer.byteLength(directory) > longestDirectory) {
    throw new BootloomError('USAGE', 'the directory of a lab must be an absolute path, and a short one', {
      where: directory,
      hint: `Choose one of at most ${longestDirectory} bytes: its Unix sockets have no room for more.`,
    })
  }
  return { name, directory }
}

/** Files and directories of a lab. */
export const paths = {
  runs: (place: Place) => join(place.directory, 'run'),
  log: (place: Place, what: string) => join(place.directory, 'log', `${what}.log`),
  settings: (place: Place) => join(place.directory, 'bootloom.yaml'),
  state: (place: Place) => join(place.directory, 'state'),
  api: (place: Place) => join(place.directory, 'state', 'api.sock'),
  blueprints: (place: Place) => join(place.directory, 'blueprints'),
  node: (place: Place, index: number) => join(place.directory, 'nodes', String(index)),
} as const
