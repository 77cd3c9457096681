import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { BootloomError } from '../src/config/errors.ts'

/**
 * Makes sure that this process may make network namespaces: as another user, runs the same command line through sudo
 * and ends with its exit status. LAB_NEEDS_ROOT where there is no sudo.
 */
export async function becomeRoot(): Promise<void> {
  if (process.getuid?.() === 0) return
  if (spawnSync('sudo', ['-V'], { stdio: 'ignore' }).error) {
    throw new BootloomError('LAB_NEEDS_ROOT', 'the lab needs root, and sudo is not installed')
  }
  process.stderr.write('The lab makes a network namespace, which takes root: sudo may ask for your password.\n')
  const child = spawn('sudo', [process.execPath, ...process.argv.slice(1)], { stdio: 'inherit' })
  // Ctrl-C reaches the child too: it takes the lab down, and we wait for that.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  const [code] = (await once(child, 'exit')) as [number | null]
  process.exit(code ?? 1)
}

/** The person behind sudo, who shall be able to edit what the lab lays out for editing. */
export function personBehind(): { uid: number; gid: number } | undefined {
  const [uid, gid] = [Number(process.env.SUDO_UID), Number(process.env.SUDO_GID)]
  return uid > 0 && gid > 0 ? { uid, gid } : undefined
}
