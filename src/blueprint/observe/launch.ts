import type { Blueprint } from '../schema.ts'
import { type Account, accountIn } from './accounts.ts'
import { quoted } from './stage-script.ts'
import { traced } from './trace.ts'

/** All that starting the application takes, looked up in its stack. */
export interface Launch {
  readonly account: Account
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly command: readonly string[]
}

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Throws ACCOUNT_UNKNOWN. */
export async function launchOf({ start }: Blueprint, root: string): Promise<Launch> {
  return {
    account: await accountIn(root, start.user),
    directory: start.directory,
    environment: { PATH: searchPath, ...start.environment },
    command: start.command,
  }
}

/**
 * Words that run what follows them in a root directory: only the blueprint's environment, the account's groups and
 * user. Accounts go by number, because chroot(8) would look names up in the root and be seen doing it.
 */
export function asAccount({ account, directory, environment }: Launch, root: string): string[] {
  return [
    ...['setpriv', '--regid', String(account.gid), '--groups', account.groups.join(',')],
    ...['env', '-i', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
    ...['/usr/bin/unshare', `--root=${root}`, `--wd=${directory}`],
    ...(account.uid === 0 ? [] : [`--setuid=${account.uid}`]),
    '--',
  ]
}

/**
 * The script that starts the application watched. strace stays outside the root, so that it needs nothing in there and
 * leaves no mark; the application leads a session of its own, because some (Apache) signal their whole group.
 */
export function launchScript(launch: Launch, stage: string): string {
  const strace = ['strace', '-ff', '--seccomp-bpf', '-y', '-qq', '-e', 'signal=none', '-e', `trace=${traced}`]
  const words = [
    ...[...strace, '-o', `${stage}/trace/t`, '--', 'sh', '-c', 'echo $$ >"$0"; exec "$@"', `${stage}/pid`],
    ...['setsid', ...asAccount(launch, `${stage}/root`), ...launch.command],
  ]
  return `exec ${words.map(quoted).join(' ')}\n`
}
