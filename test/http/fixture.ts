import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { z } from 'zod'
import { type BundleConfig, type BundleManifest, mediaTypes } from '../../src/compose/bundle-format.ts'
import { bundleForeign } from '../../src/compose/foreign.ts'
import { type Logger, silent } from '../../src/config/log.ts'
import { type Settings, settingsSchema } from '../../src/config/settings.ts'
import { Admission } from '../../src/fleet/admission.ts'
import { Assignments } from '../../src/fleet/assignment.ts'
import { Boots } from '../../src/fleet/boots.ts'
import { Bundles } from '../../src/fleet/bundles.ts'
import { Delivery } from '../../src/http/delivery.ts'
import { type NodeServer, startNodeServer } from '../../src/http/node-server.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { HotBlobs } from '../../src/store/hot-blobs.ts'
import { Store } from '../../src/store/store.ts'

/** A server for nodes on loopback with a Redis and a store of its own. */
export interface Fixture {
  readonly directory: string
  readonly state: State
  readonly store: Store
  readonly boots: Boots
  readonly settings: Settings
  readonly server: NodeServer
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Response>
  close(): Promise<void>
}

export const mac = '52:54:00:aa:00:01'

interface FixtureOptions {
  readonly unknown?: Settings['unknown']
  readonly http?: Partial<z.input<typeof settingsSchema>['http']>
  /** Seconds between two questions of a node. */
  readonly heartbeat?: number
  /** Who holds which address, where this server gave them all out. */
  readonly holders?: ReadonlyMap<string, string>
  readonly log?: Logger
}

export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const { unknown = { action: 'reject' }, http = {}, holders, log = silent } = options
  const directory = await mkdtemp(join(tmpdir(), 'http-'))
  const settings = settingsSchema.parse({ state: directory, unknown, http })
  const state = await openState({ directory }, silent)
  const store = await Store.open(join(directory, 'store'))
  const boots = await Boots.open(state.redis, settings, silent)
  const server = await startNodeServer({
    state,
    store,
    boots,
    assignments: new Assignments(state.redis, settings, silent),
    programs: new Map([['snponly.efi', Buffer.from('MZ a boot program')]]),
    log,
    address: '127.0.0.1',
    port: 0,
    settings: settings.http,
    bundles: new Bundles(store),
    hot: new HotBlobs(store, 192 * 1024 * 1024),
    admission: settings.http.admission === undefined ? undefined : new Admission(settings.http.admission),
    delivery: new Delivery(settings.http.bandwidth),
    heartbeat: options.heartbeat ?? settings.fleet.heartbeat,
    holders: holders && { all: true, of: async (address) => holders.get(address) },
  })
  return {
    directory,
    state,
    store,
    boots,
    settings,
    server,
    get: (path, headers = {}, method = 'GET') => fetch(server.url + path, { headers, method, redirect: 'manual' }),
    async close() {
      await server.close()
      await boots.close()
      await state.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Bytes that differ from place to place, so that an error in a range shows. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8) * 7 + seed
  return bytes
}

export const kernel = pattern(5000, 1)
export const segments = [pattern(1000, 2), pattern(4, 3), pattern(2500, 4)] as const
export const initramfs = Buffer.concat(segments)

/** A bundle of hand-made blobs. */
export async function putBundle(
  store: Store,
  { blueprint = 'apache', cmdline = 'console=ttyS0 quiet', parts = segments as readonly Buffer[] } = {},
): Promise<Digest> {
  const describe = async (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: await store.write(bytes),
    size: bytes.length,
  })
  const layers = [await describe(mediaTypes.kernel, kernel)]
  for (const part of parts) layers.push(await describe(mediaTypes.segment, part))
  const nothing = digestOf('')
  const config: BundleConfig = {
    blueprint,
    level: 'fast',
    cmdline,
    inputs: { blueprint: nothing, stack: nothing, profile: nothing, selection: nothing },
    fileCount: 3,
    kernel: { release: '6.1.0-1-cloud-amd64', version: '6.1.1-1' },
    segments: [],
    fullStack: { files: 9000, bytes: 214_000_000 },
  }
  const manifest: BundleManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: await describe('application/vnd.bootloom.bundle.config.v1+json', Buffer.from(JSON.stringify(config))),
    layers,
  }
  return store.writeJson(manifest)
}

/** A foreign bundle of a kernel and two initrds, the first of no multiple of four. */
export async function putForeign(store: Store, cmdline: string): Promise<Digest> {
  const put = async (from: string, text: string) => ({
    from,
    digest: await store.write(Buffer.from(text)),
    size: text.length,
  })
  const files = {
    kernel: await put('/srv/linux', 'a kernel'),
    initrds: [await put('a', 'first'), await put('b', 'second')],
  }
  return (await bundleForeign({ blueprint: 'di', blueprintDigest: digestOf(''), cmdline, ...files }, store)).digest
}
