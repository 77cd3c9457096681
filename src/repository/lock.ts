import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { BootloomError } from '../config/errors.ts'

/** Says `held` once it has the lock, and before that `waiting` where it does not have it at once. */
const holderScript = `
exec 9>>"$0" || exit
flock -n 9 || { echo waiting; exec flock "$0" sh -c 'echo held; exec cat >/dev/null'; }
echo held
exec cat >/dev/null
`

/**
 * Runs `work` while no other process on this machine holds the lock of that name.
 *
 * The kernel keeps the lock (flock(2)), in a child that lives as long as the pipe to us: killed in any way, we let go of
 * it at once. A lock with an expiry in Redis would either expire under slow work or outlive a crash, and what is
 * guarded (apt's lists, a root directory) is local to this machine, as the lock is.
 *
 * `waiting` is called where another process holds it.
 */
export async function withLock<T>(
  directory: string,
  name: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
  waiting: () => void = () => {},
): Promise<T> {
  const locks = join(directory, 'locks')
  await mkdir(locks, { recursive: true })
  const holder = execa('sh', ['-c', holderScript, join(locks, name)], {
    stdin: 'pipe',
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  // Ending without that word, it could not be had.
  const held = await new Promise<boolean>((resolve) => {
    holder.stdout.on('data', (chunk: Buffer) => {
      const words = chunk.toString('latin1')
      if (words.includes('waiting')) waiting()
      if (words.includes('held')) resolve(true)
    })
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
