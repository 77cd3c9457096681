import { parse } from 'yaml'
import type { ComposeReport } from '../../src/change/report.ts'
import { LeanLab } from '../kernel/lean-lab.ts'
import { type Asking, readyAt, serves, smallestMemory } from './lean-memory.ts'
import { atMost, type Measure, median, report, rounded, timesLess } from './report.ts'

/**
 * A bundle with a kernel of its own against the same bundle with Debian's, and against the full stack's image on Debian's
 * (bench:boot has the same image): bytes, the smallest memory in which a node serves a hundred requests, and the time from
 * power-on to ready. lean.ts [BLUEPRINT…] [--rounds=N] [--only=bytes|memory|time] [--root=files|squashfs]. All are
 * compressed at the fast level but for what says otherwise.
 */
const words = process.argv.slice(2)
const flag = (name: string) => words.find((word) => word.startsWith(`--${name}=`))?.split('=')[1]
const rounds = Number(flag('rounds') ?? 3)
const only = flag('only')
const root = flag('root')
const isWanted = (part: string) => only === undefined || only === part

const database = '\0\0\0)\0\x03\0\0user\0postgres\0database\0postgres\0\0Q\0\0\0\x15SELECT version()\0'

/** How each is asked, the bar of its memory against the full image, and MiB to begin with: lean, Debian's kernel, full. */
const blueprints: Readonly<
  Record<
    string,
    { ask: Asking; bar: number; from: readonly [number, number, number]; more?: Readonly<Record<string, unknown>> }
  >
> = {
  apache: { ask: { http: '/', port: 80, contains: 'Bootloom' }, bar: 6, from: [40, 96, 512] },
  'apache-php': { ask: { http: '/index.php', port: 80, contains: 'Guest book' }, bar: 6, from: [96, 160, 640] },
  redis: { ask: { tcp: 6379, send: 'SET a b\r\nGET a\r\n', contains: 'b' }, bar: 6, from: [64, 128, 512] },
  postgresql: {
    ask: { tcp: 5432, send: database, contains: 'PostgreSQL 15' },
    bar: 4,
    from: [192, 256, 1280],
    // Asked without a password, on all three.
    more: parse(`
files:
  - path: /etc/postgresql/15/main/conf.d/network.conf
    content: "listen_addresses = '*'\\n"
  - path: /etc/postgresql/15/main/pg_hba.conf
    content: "local all all peer\\nhost all all samenet trust\\n"
`) as Record<string, unknown>,
  },
}

const lean = { flavour: 'lean' }
const debian = { flavour: 'cloud' }
const bytesOf = ({ totals }: ComposeReport): number => (totals.kernel + totals.size) / 1e6

const asked = words.filter((word) => !word.startsWith('--'))
const lab = await LeanLab.open()
try {
  const results: Measure[] = []
  for (const name of asked.length > 0 ? asked : Object.keys(blueprints)) {
    const { ask, bar, from, more: edits = {} } = blueprints[name]!
    const more = { ...edits, ...(root ? { root } : {}) }
    const full = await lab.weave(name, debian, { full: true }, more)
    const same = await lab.weave(name, debian, {}, more)
    const own = await lab.weave(name, lean, {}, more)
    const variants = { own, same, full } as const
    if (isWanted('bytes')) {
      if (name === 'apache') {
        const thorough = await lab.weave(name, lean, { level: 'thorough' }, more)
        results.push(atMost(`${name}: kernel + initramfs, thorough`, 'MB', bytesOf(thorough), 6))
      }
      results.push(
        { ...timesLess(`${name}: kernel + initramfs, against Debian's kernel`, 'MB', bytesOf(own), bytesOf(same), 1) },
        { ...timesLess(`${name}: the same, against the full image`, 'MB', bytesOf(own), bytesOf(full), 1) },
      )
    }
    if (isWanted('memory')) {
      const least = { own: 0, same: 0, full: 0 }
      for (const [index, variant] of (['own', 'same', 'full'] as const).entries()) {
        least[variant] = await smallestMemory(from[index]!, (memory) =>
          serves(lab, { blueprint: name, digest: variants[variant].digest, memory, ask }),
        )
        console.error(`  ${name}, ${variant}: serves from ${least[variant]} MiB on`)
      }
      const what = `${name}: smallest memory that serves 100 requests, against`
      results.push(
        timesLess(`${what} Debian's kernel`, 'MiB', least.own, least.same, 1),
        timesLess(`${what} the full image`, 'MiB', least.own, least.full, bar),
      )
    }
    if (isWanted('time')) {
      const seconds = { own: [] as number[], same: [] as number[], full: [] as number[] }
      for (let round = 1; round <= rounds; round++) {
        for (const variant of ['own', 'same', 'full'] as const) {
          const took = await readyAt(lab, { blueprint: name, digest: variants[variant].digest, memory: 1536 })
          seconds[variant].push(took)
          console.error(`  ${name}, round ${round} of ${rounds}, ${variant}: ${took.toFixed(2)} s`)
        }
      }
      const what = `${name}: power-on → ready, median of ${rounds}, against`
      const [ours, with_, image] = [median(seconds.own), median(seconds.same), median(seconds.full)].map(rounded)
      results.push(
        timesLess(`${what} Debian's kernel`, 's', ours!, with_!, 1),
        timesLess(`${what} the full image`, 's', ours!, image!, 1),
      )
    }
  }
  report('lean', results)
} finally {
  await lab.close()
}
