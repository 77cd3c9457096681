import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { BootloomError } from '../config/errors.ts'

/**
 * Runs `work` while no other process on this machine holds the lock of that name.
 *
 * The kernel keeps the lock (flock(2)), in a child that lives as long as the pipe to us: killed in any way, we let go of
 * it at once. A lock with an expiry in Redis would either expire under slow work or outlive a crash, and what is
 * guarded (apt's lists, a root directory) is local to this machine, as the lock is.
 */
export async function withLock<T>(
  directory: string,
  name: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const locks = join(directory, 'locks')
  await mkdir(locks, { recursive: true })
  const holder = execa('flock', [join(locks, name), 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdin: 'pipe',
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  // Its first word says that it holds the lock; ending without one, it could not be had.
  const held = await new Promise<boolean>((resolve) => {
    holder.stdout.once('data', () => resolve(true))
    holder.stdout.once('end', () => resolve(false))
  })
  if (!held) {
    signal?.throwIfAborted()
    const result = await holder
    throw result.cause ?? new BootloomError('TOOL_MISSING', `flock ended with ${result.exitCode}`)
  }
  try {
    return await work()
  } finally {
    holder.stdin.end()
    await holder
  }
}
