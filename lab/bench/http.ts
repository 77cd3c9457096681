import { readdirSync, readFileSync } from 'node:fs'
import { execa } from 'execa'
import { httpPlace, type Running } from './http-place.ts'
import { type Measure, median, report, rounded } from './report.ts'

/**
 * `npm run bench:http`: 20 MB bundles to 64 connections by wrk, Bootloom and nginx with sendfile in turn, each alone on
 * the machine with wrk: bytes a second, and the server's CPU seconds (user and system, all its processes) for each GB that
 * it sent. The figures are medians; the ratio is the median of each round's own, so that load which comes and goes on the
 * machine meets both sides of it.
 */
const connections = 64
const rounds = 7
const seconds = 3

interface Round {
  /** GB a second. */
  readonly speed: number
  /** Seconds for each GB. */
  readonly cpu: number
}

const place = await httpPlace()
const running: Running[] = []
try {
  const ours = await place.startOurs(18081)
  running.push(ours)
  const nginx = await place.startNginx(18082)
  running.push(nginx)
  const results: Record<'ours' | 'nginx', Round[]> = { ours: [], nginx: [] }
  for (const server of [ours, nginx]) await drive(server, 1)
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second finds the machine warmer: they take turns at that, too.
    const order = round % 2 === 0 ? (['ours', 'nginx'] as const) : (['nginx', 'ours'] as const)
    for (const name of order) {
      const measured = await drive(name === 'ours' ? ours : nginx, seconds)
      results[name].push(measured)
      console.error(`  ${name}: ${measured.speed.toFixed(2)} GB/s, ${measured.cpu.toFixed(3)} CPU s/GB`)
    }
  }
  report('http', [
    compared(`20 MB bundles, ${connections} connections`, 'GB/s', 'speed', 'ratio ≥ 1', (ratio) => ratio >= 1),
    compared('CPU of the server for each GB', 's', 'cpu', 'ratio ≤ 2', (ratio) => ratio <= 2),
  ])

  function compared(
    what: string,
    unit: string,
    of: keyof Round,
    bar: string,
    holds: (ratio: number) => boolean,
  ): Measure {
    const ours = results.ours.map((round) => round[of])
    const peer = results.nginx.map((round) => round[of])
    const ratio = median(ours.map((value, round) => value / peer[round]!))
    return {
      what,
      unit,
      ours: rounded(median(ours)),
      peer: rounded(median(peer)),
      ratio: rounded(ratio),
      bar,
      holds: holds(ratio),
    }
  }
} finally {
  for (const server of running) await server.stop()
  await place.remove()
}

async function drive(server: Running, duration: number): Promise<Round> {
  const before = cpuSeconds(server.pid)
  const began = performance.now()
  const { stdout } = await execa('wrk', ['-t1', `-c${connections}`, `-d${duration}s`, '--timeout', '30s', server.url])
  const took = (performance.now() - began) / 1000
  const read = /([\d.]+)([KMGT]?B) read/.exec(stdout)
  if (!read || /Non-2xx|read [1-9]/.test(stdout)) throw new Error(stdout)
  const gigabytes = (Number(read[1]) * 1024 ** ['B', 'KB', 'MB', 'GB', 'TB'].indexOf(read[2]!)) / 1e9
  return { speed: gigabytes / took, cpu: (cpuSeconds(server.pid) - before) / gigabytes }
}

/** Of a process and its children (proc(5), stat, fields 14 and 15 in ticks of 10 ms). Redis, a child of ours, idles. */
function cpuSeconds(root: number): number {
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      if (Number(name) === root || Number(fields[1]) === root) ticks += Number(fields[11]) + Number(fields[12])
    } catch {
      // It ended meanwhile.
    }
  }
  return ticks / 100
}
