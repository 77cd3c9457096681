import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { bootsOf } from '../../state/boots.ts'
import { getNode } from '../../state/nodes.ts'
import type { Rollout, RolloutNode } from '../../state/rollouts.ts'
import type { StepContext } from './node-step.ts'

/**
 * Runs a command of an admin once, whoever asks for it how often: who comes while it runs waits for it, and who comes
 * later gets its outcome. It outlives the server that began it, so it writes to a file and not to a pipe that may break.
 * Only where it was killed, too, it is run again. $1: the command, $2: its seconds, $3: where its outcome stands, $4: `running`.
 */
const once = `[ -e "$3" ] || flock "$3.lock" sh -c "$4" "$0" "$1" "$2" "$3"
read -r status <"$3"
[ "$status" = 0 ] || tail -n 12 "$3.output" >&2
exit "$status"`

/** All that it starts has the lock. */
const running = `[ -e "$3" ] && exit
timeout -k 5 "$2" sh -c "$1" >"$3.output" 2>&1 </dev/null
echo $? >"$3.part" && mv "$3.part" "$3"`

const directoryOf = (state: string, rollout: string): string => join(state, 'rollouts', rollout)

/** What the commands of a rollout left is not asked for again. */
export const forgetCommands = (state: string, rollout: string): Promise<void> =>
  rm(directoryOf(state, rollout), { recursive: true, force: true })

/** Runs a command of the rollout for a node, with whom it is about in the environment. Why it failed. */
export async function command(
  { redis, log, signal, state }: StepContext,
  { id, blueprint, deadline, ...rollout }: Rollout,
  { mac, way, since }: RolloutNode,
  what: 'drain' | 'undrain',
): Promise<string | undefined> {
  const text = rollout[what]
  if (text === undefined) return undefined
  const [node, boots] = await Promise.all([getNode(redis, mac), bootsOf(redis, mac, 4)])
  const address = boots.flatMap(({ stages }) => stages.findLast((stage) => stage.address)?.address ?? [])[0]
  const env = {
    NODE_MAC: mac,
    NODE_ADDRESS: address ?? '',
    NODE_HOSTNAME: node?.hostname ?? '',
    NODE_BLUEPRINT: blueprint,
  }
  const directory = directoryOf(state, id)
  await mkdir(directory, { recursive: true })
  // The step's own beginning stands in Redis: it is the same for whoever goes on with it.
  const outcome = join(directory, `${mac.replaceAll(':', '-')}.${what}.${since}`)
  try {
    await run('sh', ['-c', once, what, text, String(deadline), outcome, running], { env, signal })
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    const { message } = error as Error
    const reason = `${what}: ${/ended with 124$/.test(message) ? `not done within ${deadline} s` : message}`
    log.warn({ event: 'rollout-command-failed', mac, blueprint, way, reason })
    return reason
  }
}
