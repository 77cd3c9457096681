import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { type BundleConfig, type BundleManifest, mediaTypes } from '../../src/compose/bundle-format.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

/** What both servers serve: the same bytes, ours as a bundle's initramfs of several segments, nginx's as one file. */
export interface HttpPlace {
  readonly directory: string
  readonly bundle: Digest
  /** Starts Bootloom as an admin would, on loopback; resolves once it answers. */
  startOurs(port: number): Promise<Running>
  /** Starts nginx with sendfile and as many workers as it takes by itself. */
  startNginx(port: number): Promise<Running>
  remove(): Promise<void>
}

export interface Running {
  /** URL of the bytes. */
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** Sizes of the segments, as those of a woven Apache are spread, for 20 MB in all. */
const segments = [11_000_000, 5_000_000, 2_200_000, 900_000, 500_000, 250_000, 100_000, 40_000, 8000, 2000]

export async function httpPlace(): Promise<HttpPlace> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-http-'))
  const store = await Store.open(join(directory, 'state', 'store'))
  const parts = segments.map((size, seed) => pattern(size, seed))
  const bundle = await putBundle(store, parts)
  const www = join(directory, 'www')
  await mkdir(www)
  await writeFile(join(www, 'bundle'), Buffer.concat(parts))
  return {
    directory,
    bundle,
    async startOurs(port) {
      const settings = join(directory, 'bootloom.yaml')
      await writeFile(
        settings,
        stringify({
          state: join(directory, 'state'),
          network: { interface: 'lo', address: '127.0.0.1' },
          dhcp: { mode: 'off' },
          tftp: { enabled: false },
          http: { port },
          log: { level: 'warn' },
        }),
      )
      const launcher = fileURLToPath(new URL('../../src/bootloom.sh', import.meta.url))
      const command = [launcher, 'serve', '--config', settings, '--role', 'boot']
      return started('sh', command, `http://127.0.0.1:${port}/bundle/${bundle}/initramfs`, directory)
    },
    async startNginx(port) {
      const settings = join(directory, 'nginx.conf')
      await writeFile(settings, nginxSettings(directory, port))
      const command = ['-c', settings, '-p', directory, '-e', join(directory, 'nginx-error.log')]
      return started('nginx', command, `http://127.0.0.1:${port}/bundle`, directory)
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

/** Debian's own nginx.conf, as far as it bears on a static file, and no log. */
const nginxSettings = (directory: string, port: number) => `
daemon off;
worker_processes auto;
pid ${directory}/nginx.pid;
events { worker_connections 768; }
http {
  sendfile on;
  tcp_nopush on;
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server { listen 127.0.0.1:${port}; root ${directory}/www; }
}
user root;
`

async function started(file: string, args: readonly string[], url: string, directory: string): Promise<Running> {
  const log = createWriteStream(join(directory, `${file.split('/').at(-1)}.log`))
  const child = execa(file, args, { stdin: 'ignore', reject: false, buffer: false, cleanup: true })
  child.stderr!.pipe(log)
  child.stdout!.pipe(log)
  const stop = async () => {
    child.kill('SIGTERM', undefined)
    await child
  }
  for (let tries = 0; tries < 300; tries++) {
    const answer = await fetch(url, { method: 'HEAD' }).catch(() => undefined)
    if (answer?.ok) return { url, pid: child.pid!, stop }
    if (child.exitCode !== null) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await stop()
  throw new Error(`${file} does not answer at ${url}; see ${directory}`)
}

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + seed) & 255
  return bytes
}

async function putBundle(store: Store, parts: readonly Buffer[]): Promise<Digest> {
  const describe = async (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: await store.write(bytes),
    size: bytes.length,
  })
  const layers = [await describe(mediaTypes.kernel, pattern(4096, 99))]
  for (const part of parts) layers.push(await describe(mediaTypes.segment, part))
  const none = digestOf('')
  const config: BundleConfig = {
    blueprint: 'bench',
    level: 'fast',
    cmdline: 'quiet',
    inputs: { blueprint: none, stack: none, profile: none, selection: none },
    fileCount: 1,
    kernel: { release: 'bench', version: '1' },
    segments: [],
    fullStack: { files: 1, bytes: 1 },
  }
  const manifest: BundleManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: (await describe(mediaTypes.config, Buffer.from(JSON.stringify(config)))) as BundleManifest['config'],
    layers,
  }
  return store.writeJson(manifest)
}
