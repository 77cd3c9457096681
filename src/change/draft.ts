import { probeByListening } from '../blueprint/observe/listening.ts'
import { type Blueprint, blueprintSchema } from '../blueprint/schema.ts'
import { servicesOf } from '../blueprint/services.ts'
import type { Probe } from '../blueprint/step-schema.ts'
import { asBootloomError } from '../config/errors.ts'
import { updateStack } from '../repository/update.ts'
import { componentsOf, type Work } from './work.ts'

export interface DraftRequest {
  readonly name: string
  readonly packages: readonly string[]
  /** Where the packages bring several units. */
  readonly service?: string | undefined
}

/** A blueprint's first text. */
export interface Draft {
  readonly yaml: string
  /** The unit that fills the start in. */
  readonly unit: string | undefined
}

/**
 * Writes the blueprint of packages that nobody described: installs them, finds their unit, and starts it to see what it
 * listens on. SERVICE_UNKNOWN, SERVICE_AMBIGUOUS, UNIT_INVALID where no unit can be told.
 */
export async function draftBlueprint(request: DraftRequest, work: Work): Promise<Draft> {
  const { context, progress, signal } = work
  const { name, packages, service } = request
  // The probe is what is looked for; until then, one that the format takes.
  const raw = { name, stack: [{ deb: { packages } }], ...(service ? { service } : {}), probe: { tcp: 1 } }
  const blueprint: Blueprint = blueprintSchema.parse(raw)
  const { stack, root } = await updateStack(blueprint, context, progress, signal)
  const services = await servicesOf(blueprint, await componentsOf(stack, context), context.store)
  progress({ step: 'start', detail: services[0]!.unit ?? name })
  let found: Probe | undefined
  let reason = 'nothing was heard listening on TCP'
  try {
    found = await probeByListening(services, root, signal)
  } catch (error) {
    signal.throwIfAborted()
    reason = asBootloomError(error).message
  }
  return { yaml: draftText(request, found, reason), unit: services[0]!.unit }
}

function draftText({ name, packages, service }: DraftRequest, probe: Probe | undefined, reason: string): string {
  return [
    `name: ${name}`,
    'stack:',
    `  - deb: { packages: [${packages.join(', ')}] }`,
    ...(service ? [`service: ${JSON.stringify(service)}`] : []),
    ...(probe ? [`probe: ${probeText(probe)}`] : [`# ${reason}: say what tells that it is up`, '# probe: { tcp: 80 }']),
    '# workload: what the application is to do on the node, driven while it is watched',
    '',
  ].join('\n')
}

function probeText(probe: Probe): string {
  if ('tcp' in probe) return `{ tcp: ${probe.tcp} }`
  if (!('http' in probe)) return JSON.stringify(probe)
  const port = probe.port === 80 ? '' : `, port: ${probe.port}`
  const expect = probe.expect.status === 200 ? '' : `, expect: { status: ${probe.expect.status} }`
  return `{ http: ${probe.http}${port}${expect} }`
}
