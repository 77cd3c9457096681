import { BootloomError } from '../../config/errors.ts'
import type { Settings } from '../../config/settings.ts'
import { type Finding, fail } from './finding.ts'
import { checkClock, checkDisk, checkMemory, checkNode } from './machine.ts'
import { checkInterface, checkPorts } from './network.ts'
import { checkAptSources, checkBootPrograms, checkPackages } from './packages.ts'
import { checkNamespaces, checkTracing, checkTun } from './privileges.ts'
import { checkRedis } from './redis.ts'

type Check = (settings: Settings) => Promise<readonly Finding[]> | readonly Finding[]

const checks: readonly (readonly [name: string, check: Check])[] = [
  ['node', checkNode],
  ['packages', checkPackages],
  ['apt sources', checkAptSources],
  ['boot programs', checkBootPrograms],
  ['namespaces', checkNamespaces],
  ['tracing', checkTracing],
  ['tun', checkTun],
  ['interface', checkInterface],
  ['ports', checkPorts],
  ['redis', checkRedis],
  ['disk', checkDisk],
  ['memory', checkMemory],
  ['clock', checkClock],
]

/** Runs every check; one that itself breaks is a finding, and the others go on. */
export async function examine(settings: Settings): Promise<Finding[]> {
  const found = await Promise.all(
    checks.map(async ([name, check]) => {
      try {
        return await check(settings)
      } catch (error) {
        const hint = error instanceof BootloomError ? error.hint : 'Report this: a check should not break.'
        return [fail(name, error instanceof Error ? error.message : String(error), hint)]
      }
    }),
  )
  return found.flat()
}
