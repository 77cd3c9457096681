import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { parse, stringify } from 'yaml'
import type { BundleConfig, BundleManifest } from '../../src/compose/bundle-format.ts'
import { inside } from '../../src/machine/namespace.ts'
import { canonicalJson, type Digest } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { layOut } from '../blueprint.ts'
import { addressOf, watchBoot } from '../boot-watch.ts'
import { type LabNode, macOf, startNode } from '../node.ts'
import { paths } from '../place.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { type Measure, median, report, rounded } from './report.ts'

/**
 * `npm run bench:misses [ROUNDS]`: what telling of misses costs Apache. Three nodes with the same Apache side by side, driven
 * by wrk in turn: one without the watch (its bundle less that segment), one with it, and one that may reach back, in its
 * overlay. An emulated node's requests a second go up and down by half with whatever else the machine does. So the figures are of
 * the instructions that its processor ran, kernel and all, which QEMU counts: a processor that is busy answers so many
 * fewer requests in the same time. The rounds' own ratios, their medians. Memory is what each node told when it was ready.
 */
const rounds = Number(process.argv[2] ?? 10)
const seconds = 2
const connections = 8
const kinds = ['off', 'watch', 'reach'] as const
type Kind = (typeof kinds)[number]

interface Running {
  readonly node: LabNode
  readonly url: string
  /** Bytes that were available when it was ready. */
  readonly available: number
}

interface Round {
  readonly rate: number
  /** Of the node's processor for each request. */
  readonly instructions: number
}

async function weave(lab: BenchLab, name: string, more: Record<string, unknown>): Promise<Digest> {
  const { yaml, directory } = await layOut(lab.place, 'apache')
  const changed = stringify({ ...(parse(yaml) as object), name, ...more })
  await lab.api.request('POST', '/v1/blueprints', { yaml: changed, directory })
  return (await lab.compose(name, { level: 'fast' })).digest
}

/** The same bundle for a node that tells nothing. */
async function withoutWatch(lab: BenchLab, digest: Digest): Promise<Digest> {
  const store = await Store.open(join(paths.state(lab.place), 'store'))
  const manifest = await store.readJson<BundleManifest>(digest)
  const { misses: _, ...config } = await store.readJson<BundleConfig>(manifest.config.digest)
  const gone = config.segments.find(({ kind }) => kind === 'misses')!
  const without: BundleConfig = {
    ...config,
    fileCount: config.fileCount - gone.files,
    segments: config.segments.filter((segment) => segment !== gone),
  }
  const bytes = Buffer.from(canonicalJson(without))
  return store.writeJson({
    ...manifest,
    config: { ...manifest.config, digest: await store.write(bytes), size: bytes.length },
    layers: manifest.layers.filter((layer) => layer.digest !== gone.digest),
  })
}

async function powerOn(lab: BenchLab, index: number, blueprint: string, digest: Digest): Promise<Running> {
  await lab.api.request('POST', `/v1/channels/${blueprint}/candidate`, { digest })
  await lab.api.request('PUT', `/v1/nodes/${macOf(index)}`, { blueprint, channel: 'candidate' })
  const since = Date.now()
  const node = await startNode(lab.place, { index, counts: true })
  const boot = await watchBoot(lab.api, node, { since, timeout: 240_000 })
  const ready = boot.stages.find(({ stage }) => stage === 'ready') as { memAvailable?: number }
  return { node, url: `http://${addressOf(boot)}`, available: ready.memAvailable! }
}

async function drive(lab: BenchLab, { node, url }: Running, path: string): Promise<Round> {
  const before = await node.instructions()
  const words = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, `${url}${path}`]
  const [file, ...rest] = inside(lab.place.name, words)
  const { stdout } = await execa(file, rest)
  const [requests, rate] = [/(\d+) requests in/, /Requests\/sec:\s+([\d.]+)/].map((text) =>
    Number(text.exec(stdout)?.[1]),
  )
  return { rate: rate!, instructions: ((await node.instructions()) - before) / requests! }
}

async function compare(lab: BenchLab, nodes: Record<Kind, Running>, path: string, times: number) {
  const measured: Record<Kind, Round[]> = { off: [], watch: [], reach: [] }
  for (const kind of kinds) await drive(lab, nodes[kind], path)
  for (let round = 0; round < times; round++) {
    // Each is first, second and last as often as the others.
    for (let place = 0; place < kinds.length; place++) {
      const kind = kinds[(round + place) % kinds.length]!
      measured[kind].push(await drive(lab, nodes[kind], path))
    }
    const told = (kind: Kind) => {
      const { rate, instructions } = measured[kind][round]!
      return `${kind} ${rate.toFixed(0)}/s, ${(instructions / 1000).toFixed(1)}k instructions each`
    }
    console.error(`  ${path} ${kinds.map(told).join('; ')}`)
  }
  return measured
}

/** How many percent fewer requests than `off` for as many instructions, by the rounds' own ratios. */
function cost(measured: Record<Kind, Round[]>, kind: Kind): number {
  return (1 - median(measured[kind].map((round, at) => measured.off[at]!.instructions / round.instructions))) * 100
}

function row(what: string, unit: string, ours: number, peer: number | undefined, limit?: number): Measure {
  const bar = limit === undefined ? { bar: 'told', holds: true } : { bar: `≤ ${limit}`, holds: ours <= limit }
  return { what, unit, ours: rounded(ours), ...(peer === undefined ? {} : { peer: rounded(peer) }), ...bar }
}

await inBenchLab(async (lab) => {
  const watch = await weave(lab, 'apache-watch', {})
  const reach = await weave(lab, 'apache-reach', { onMiss: 'fetch' })
  const off = await withoutWatch(lab, watch)
  const running: Running[] = []
  try {
    running.push(await powerOn(lab, 1, 'apache-watch', off))
    running.push(await powerOn(lab, 2, 'apache-watch', watch))
    running.push(await powerOn(lab, 3, 'apache-reach', reach))
    const nodes = { off: running[0]!, watch: running[1]!, reach: running[2]! }
    const page = await compare(lab, nodes, '/', rounds)
    // Each of these is a miss that the watch has to look at and to drop, for the stack has no such name.
    const nothing = await compare(lab, nodes, '/nothing', Math.ceil(rounds / 3))
    const rate = (measured: Record<Kind, Round[]>, kind: Kind) => median(measured[kind].map((round) => round.rate))
    const count = (measured: Record<Kind, Round[]>, kind: Kind) =>
      median(measured[kind].map(({ instructions }) => instructions))
    const memory = (kind: Kind) => (nodes.off.available - nodes[kind].available) / 1e6
    report('misses', [
      row('telling of misses: fewer requests, a page', '%', cost(page, 'watch'), undefined, 2),
      row('overlay and FUSE: fewer requests, a page', '%', cost(page, 'reach'), undefined),
      row('telling of misses: fewer requests, all 404', '%', cost(nothing, 'watch'), undefined),
      row('instructions for a page: with the watch, without', '', count(page, 'watch'), count(page, 'off')),
      row('requests a second, a page: with the watch, without', '/s', rate(page, 'watch'), rate(page, 'off')),
      row('requests a second, a page: overlay, plain', '/s', rate(page, 'reach'), rate(page, 'off')),
      row('memory of telling of misses', 'MB', memory('watch'), undefined),
      row('memory of overlay, FUSE and the tree', 'MB', memory('reach'), undefined),
    ])
  } finally {
    for (const { node } of running) {
      await node.stop()
      await rm(node.serial.path, { force: true })
    }
  }
})
