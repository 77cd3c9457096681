import Table from 'cli-table3'
import prettyBytes from 'pretty-bytes'
import type { Account } from './account.ts'
import type { StageName } from './plan.ts'
import type { StormResult } from './storm.ts'

const watched: readonly StageName[] = ['dhcp', 'script', 'kernel', 'initramfs', 'overlay', 'os-dhcp']

/** The account in one line, for a view that is redrawn. */
export function viewLine(account: Account, nodes: number): string {
  const stages = watched.map((stage) => `${stage} ${account.passed(stage)}`).join('  ')
  const failed = account.failed.size === 0 ? '' : `  failed ${account.failed.size}`
  const tried = account.troubles.reduce((sum, { count }) => sum + count, 0)
  return `on ${account.on.size}/${nodes}  ${stages}  ready ${account.ready.size}${failed}  retries ${tried}  ${prettyBytes(account.bytes.http)}`
}

/** What a storm came to, for people. */
export function stormTable(result: StormResult): string {
  const table = new Table({
    head: ['stage', 'nodes', 'p50', 'p95', 'p99', 'max'],
    colAligns: ['left', ...numbers(5)],
    style: { head: [], border: [], compact: true },
  })
  for (const { stage, count, p50, p95, p99, max } of result.stages) {
    table.push([stage, count, time(p50), time(p95), time(p99), time(max)])
  }
  const { usage, bytes } = result
  return [
    table.toString(),
    `${result.ready} of ${result.nodes} nodes ready in ${result.seconds.toFixed(1)} s: ${Math.round(result.perMinute)} nodes a minute`,
    `${result.readyByServer} of them ready by the server's account`,
    `${prettyBytes(bytes.http)} by HTTP, ${prettyBytes(bytes.tftp)} by TFTP; ${prettyBytes(bytes.hashed)} hashed, ${
      result.differing.length === 0 ? 'all alike' : `DIFFERENT: ${result.differing.join(', ')}`
    }`,
    ...Object.entries(usage).map(
      ([who, { cpuSeconds, peakRss, peakPss, processes }]) =>
        `${who.padEnd(8)} ${cpuSeconds.toFixed(1)} s of CPU, at most ${prettyBytes(peakRss)} in ${processes} processes (${prettyBytes(peakPss)} with shared pages once)`,
    ),
    ...result.failures.map(({ stage, reason, count }) => `FAILED ${count} × at ${stage}: ${reason}`),
    ...result.troubles.map(({ stage, reason, count }) => `tried again ${count} × at ${stage}: ${reason}`),
  ].join('\n')
}

const numbers = (count: number) => Array.from({ length: count }, () => 'right' as const)

const time = (milliseconds: number) =>
  milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(2)} s`
