import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { lastLines, programIsThere } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import { createNamespace, inside, network, removeNamespace } from '../../machine/namespace.ts'
import { withLock } from '../../repository/lock.ts'
import { openState, type Redis } from '../../state/redis.ts'
import { digestOf, hexOf } from '../../store/digest.ts'
import type { Context } from '../context.ts'
import { Asker } from './asker.ts'

/**
 * A boot network that nothing leads out of: a namespace in which this program serves nodes as it does outside, from the
 * same store, and with a Redis of its own, so that nothing of what happens here is taken for the fleet's.
 */
export interface Isolation {
  readonly namespace: string
  /** For what a machine in it leaves behind. */
  readonly directory: string
  readonly redis: Redis
  readonly asker: Asker
}

/** Milliseconds in which the boot services must answer. */
const patience = 30_000
const port = 8080

/** Whether virtual machines can be run here: QEMU is installed, and namespaces may be made. */
export async function machineIsPossible(): Promise<boolean> {
  return process.getuid?.() === 0 && programIsThere('qemu-system-x86_64')
}

/** One a state directory: two servers on one machine have two. */
const namespaceOf = (directory: string): string => `bootloom-verify-${hexOf(digestOf(directory)).slice(0, 10)}`

/** Gives work a network of its own and takes it down whatever happens, also what a killed process left of one before. */
export function inIsolation<T>(
  context: Pick<Context, 'directory' | 'store' | 'log'>,
  signal: AbortSignal,
  work: (isolation: Isolation) => Promise<T>,
): Promise<T> {
  const place = join(context.directory, 'verify')
  const namespace = namespaceOf(place)
  return withLock(
    context.directory,
    'verify',
    async () => {
      await removeNamespace(namespace, 0)
      await rm(place, { recursive: true, force: true })
      let asker: Asker | undefined
      let state: Awaited<ReturnType<typeof openState>> | undefined
      try {
        await mkdir(place, { recursive: true, mode: 0o700 })
        await symlink(context.store.directory, join(place, 'store'))
        await createNamespace(namespace)
        asker = new Asker(namespace)
        await serve(namespace, place, asker, signal)
        state = await openState({ directory: place }, context.log)
        return await work({ namespace, directory: place, redis: state.redis, asker })
      } finally {
        asker?.end()
        await state?.close()
        await removeNamespace(namespace, 0)
        await rm(place, { recursive: true, force: true })
      }
    },
    signal,
  )
}

/** Starts a program in the namespace that ends when this process does, however it ends. */
export function startInside(namespace: string, words: readonly string[], log: string): { ended(): boolean } {
  const output = openSync(log, 'w')
  try {
    const [file, ...rest] = ['setpriv', '--pdeathsig', 'KILL', ...inside(namespace, words)]
    const child = spawn(file!, rest, { stdio: ['ignore', output, output], env: withoutSettings() })
    let failed = false
    child.on('error', () => {
      failed = true
    })
    return { ended: () => failed || child.exitCode !== null || child.signalCode !== null }
  } finally {
    closeSync(output)
  }
}

/** This server's settings are not those of the one in there. */
const withoutSettings = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BOOTLOOM_')))

async function serve(namespace: string, place: string, asker: Asker, signal: AbortSignal): Promise<void> {
  const settings = join(place, 'bootloom.json')
  const log = join(place, 'boot.log')
  await writeFile(
    settings,
    JSON.stringify({
      state: place,
      network: { interface: network.bridge, address: network.address },
      dhcp: { subnets: [{ subnet: network.subnet, range: network.range }] },
      http: { port },
      // A machine in here is told at once what it is to do.
      fleet: { heartbeat: 1 },
    }),
  )
  const launcher = fileURLToPath(new URL('../../bootloom.sh', import.meta.url))
  const server = startInside(namespace, ['sh', launcher, 'serve', '--config', settings, '--role', 'boot'], log)
  const ready = { http: '/readyz', port, expect: { status: 200 } }
  for (const began = Date.now(); !(await asker.ask(ready, network.address, 2000)).ok; await sleep(30)) {
    signal.throwIfAborted()
    if (!server.ended() && Date.now() - began < patience) continue
    throw new BootloomError('INTERNAL', 'the boot services of the isolated network did not start', {
      details: lastLines(await readFile(log, 'utf8').catch(() => ''), 8),
    })
  }
}
