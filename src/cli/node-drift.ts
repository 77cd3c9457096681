import type { Command } from 'commander'
import colors from 'picocolors'
import type { Drifted } from '../fleet/drift.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { addCommand } from './command.ts'
import { printResult, table } from './output.ts'

interface Drift {
  readonly mac: string
  readonly blueprint: string
  readonly bundle: string
  readonly drift: readonly Drifted[]
}

export function addNodeDrift(node: Command): void {
  addCommand(node, {
    words: 'drift <mac>',
    description:
      "Compare what stands in a running node's RAM with its bundle: what was added, changed or removed, and apart from that, where its application may write.",
    example: 'bootloom node drift 52:54:00:aa:00:01',
  }).action(async (mac: string, _options: unknown, command: Command) => {
    const path = `/v1/nodes/${encodeURIComponent(mac)}/drift`
    const found = await withApi(command, (api) => api.send<Drift>('POST', path, {}))
    await printResult(command, found, render)
  })
}

async function render({ mac, blueprint, bundle, drift }: Drift): Promise<string> {
  const foreign = drift.filter(({ writable }) => !writable)
  const own = drift.filter(({ writable }) => writable)
  const of = `${mac}, ${blueprint} @ ${shortDigest(bundle)}`
  const parts = [foreign.length === 0 ? `${of}: as its bundle` : `${of}: ${foreign.length} paths differ`]
  if (foreign.length > 0) parts.push(await rows(foreign, colors.red))
  if (own.length > 0) parts.push(colors.dim('where its application may write:'), await rows(own, colors.dim))
  return parts.join('\n')
}

const rows = (drift: readonly Drifted[], paint: (text: string) => string) =>
  table(
    ['path', 'is', 'what'],
    drift.map(({ path, kind, what }) => [path.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?'), paint(kind), what]),
  )
