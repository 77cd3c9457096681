import type { Account } from '../account.ts'
import type { Command, Service } from '../service.ts'
import { quoted } from './stage-script.ts'
import { traced } from './trace.ts'

/** What a program of a service is started with. */
export type Surroundings = Pick<Service, 'account' | 'directory' | 'environment' | 'umask' | 'openFiles'>

const root: Account = { name: 'root', uid: 0, gid: 0, groups: [0], home: '/root' }

/** For a program that is run as root whatever the service's account is. */
export const surroundingsOf = (service: Service, { asRoot }: Command): Surroundings =>
  asRoot ? { ...service, account: root } : service

/**
 * Words that run what follows them in a root directory: only the service's environment, the account's groups and user.
 * Accounts go by number, because chroot(8) would look names up in the root and be seen doing it.
 */
export function inSurroundings(surroundings: Surroundings, directory: string): string[] {
  const { account, environment, umask, openFiles } = surroundings
  return [
    // The limit is as high as this machine allows: a watched run must not fail for want of it.
    ...[
      'sh',
      '-c',
      'umask "$0"; [ -z "$1" ] || ulimit -n "$1" 2>/dev/null; shift; exec "$@"',
      umask ?? '0022',
      String(openFiles ?? ''),
    ],
    ...['setpriv', '--regid', String(account.gid), '--groups', account.groups.join(',')],
    ...['env', '-i', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
    ...['/usr/bin/unshare', `--root=${directory}`, `--wd=${surroundings.directory}`],
    ...(account.uid === 0 ? [] : [`--setuid=${account.uid}`]),
    '--',
  ]
}

/**
 * The script of a job of the stage: runs a program watched. strace stays outside the root, so that it needs nothing in
 * there and leaves no mark; the program leads a session of its own, because some (Apache) signal their whole group.
 */
export function jobScript(
  surroundings: Surroundings,
  words: readonly string[],
  { stage, job, isTraced }: { stage: string; job: string; isTraced: boolean },
): string {
  // Where something else tells what is touched, strace is there for the end of all processes alone, and slows nothing down.
  const calls = isTraced ? traced : 'execve'
  // How each process ended stands at the end of its file: -q keeps it, -qq would not.
  const strace = ['strace', '-ff', '--seccomp-bpf', '-y', '-q', '-e', 'signal=none', '-e', `trace=${calls}`]
  const line = [
    ...[...strace, '-o', `${stage}/trace/t`, '--', 'sh', '-c', 'echo $$ >"$0"; exec "$@"', `${stage}/jobs/${job}.pid`],
    ...['setsid', ...inSurroundings(surroundings, `${stage}/root`), ...words],
  ]
  return `exec ${line.map(quoted).join(' ')}\n`
}
