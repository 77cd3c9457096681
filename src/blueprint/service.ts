import type { Account } from './account.ts'
import type { Probe } from './step-schema.ts'

/** A program that is run for a service. `$MAINPID` in a word stands for the id of the service's main process. */
export interface Command {
  /** Program and arguments. */
  readonly words: readonly string[]
  /** Its failure is passed over (`-` in a unit). */
  readonly mayFail: boolean
  /** Run as root, whatever the service's account is (`+`, `!` in a unit). */
  readonly asRoot: boolean
}

/** One thing done to a running service: a signal to its main process (`TERM`), or a program that is run. */
export type Step = { readonly signal: string } | Command

/** A directory that is made before the service starts; what stands there already gets this owner and mode. */
export interface MadeDirectory {
  readonly path: string
  readonly uid: number
  readonly gid: number
  /** Octal, as in `0755`. */
  readonly mode: string
}

/**
 * One process to keep running, resolved against the stack: the same on the watched run and on the node, whether it came
 * from a systemd unit or from the blueprint's own lines. Names of services are those of the blueprint.
 */
export interface Service {
  readonly name: string
  /** The unit file that filled it in. */
  readonly unit: string | undefined
  /** Services that must be ready before this one starts. */
  readonly after: readonly string[]
  readonly directories: readonly MadeDirectory[]
  readonly account: Account
  /** Working directory. */
  readonly directory: string
  /** All of it: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>
  /** Octal, as in `0027`. */
  readonly umask: string | undefined
  /** Most file descriptors open at once (RLIMIT_NOFILE). */
  readonly openFiles: number | undefined
  /** Run to their end, one after the other, before `start`. */
  readonly pre: readonly Command[]
  readonly start: Command
  /**
   * `simple`: the command is the main process. `forking`: the command ends, and leaves the main process behind.
   * `oneshot`: the command ends, and nothing of it needs to stay.
   */
  readonly type: 'simple' | 'forking' | 'oneshot'
  /** Where a forking service writes the id of its main process; without it, that is the process left behind. */
  readonly pidFile: string | undefined
  /** Empty: it cannot be told to reload. */
  readonly reload: readonly Step[]
  /** Ends with the signal that is sent to what the steps before it left. */
  readonly stop: readonly Step[]
  /** Tells that it is ready; without one it is ready once it was started. */
  readonly probe: Probe | undefined
  /** Settings of the unit that Bootloom does not act on, such as `ProtectSystem`. */
  readonly ignored: readonly string[]
}

/** Where programs named without a path are looked for. */
export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Every program that is run for a service: none may be missing on the node. */
export function programsOf({ pre, start, reload, stop }: Service): string[] {
  const commands = [...pre, start, ...reload, ...stop].flatMap((step) => ('words' in step ? [step] : []))
  return [...new Set(commands.map(({ words }) => words[0]!))]
}
