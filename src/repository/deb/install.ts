import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError, type ErrorCode } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import { digestOf, hexOf } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { outputOf } from './apt.ts'
import { installScript } from './install-script.ts'
import type { ResolvedPackage } from './resolve.ts'
import { architecture } from './sources.ts'

export interface InstallOptions {
  /** All that the steps and those before them install. */
  readonly packages: readonly ResolvedPackage[]
  /** What to install now, one after another. */
  readonly steps: readonly InstallStep[]
  /** The root that earlier steps came to, which is gone on from, and shares its files; without one, a root is begun. */
  readonly from?: string | undefined
  /**
   * Of several steps that begin a root, where the first one's is kept; a file of that name and `.whole` stands beside it
   * once it is on the disk. Does not exist yet.
   */
  readonly keep?: string | undefined
  /** Does not exist yet; may be left half-made when this fails. */
  readonly root: string
  /** A directory for what passes; all but the root is removed in the end. */
  readonly work: string
}

export interface InstallStep {
  readonly names: readonly string[]
  /** Seconds since 1970, for whatever the installation dates itself (days in shadow(5), generated files). */
  readonly sourceDateEpoch: number
}

/**
 * Installs these packages into `root`, running their maintainer scripts once, in namespaces: no network, another host
 * name, and no process outlives it.
 */
export async function installPackages(
  options: InstallOptions,
  store: Store,
  progress: OnProgress,
  signal?: AbortSignal,
  begun: () => void = () => {},
): Promise<void> {
  if (process.getuid?.() !== 0) throw new BootloomError('INSTALL_NEEDS_ROOT', 'installing a stack takes root')
  const { work, root, from, keep, steps } = options
  const repository = join(work, 'repository')
  const installed = await writeRepository(repository, options.packages, store, signal)
  const further = from === undefined ? steps.slice(1) : steps
  const lines = further.map(({ sourceDateEpoch, names }) => `${[sourceDateEpoch, ...names].join(' ')}\n`)
  await writeFile(join(work, 'steps'), lines.join(''))
  const total = steps.reduce((sum, { names }) => sum + names.length, 0) * 2
  let done = 0
  const output: string[] = []
  const memory = await fitsMemory(installed)
  const places = [work, root, encodeURI(repository), from ?? '', keep ?? '']
  const words = [...places, memory ? 'yes' : 'no', ...mmdebstrap(steps[0]!.names)]
  try {
    const installing = run('setpriv', [...confined, installScript, 'sh', ...words], {
      env: { SOURCE_DATE_EPOCH: String(steps[0]!.sourceDateEpoch), LC_ALL: 'C.UTF-8', TMPDIR: work },
      ...(signal === undefined ? {} : { signal }),
      onLine: (line) => {
        output.push(line)
        const step = line.match(/^(Unpacking|Setting up) (\S+)/)
        if (!step) return
        const [, verb, name] = step
        progress({ step: 'install', detail: `${verb} ${name}`.toLowerCase(), fraction: Math.min(1, ++done / total) })
      },
    })
    begun()
    await installing
  } catch (error) {
    throw asInstallError(error, output)
  } finally {
    await Promise.all(
      ['repository', 'memory', 'steps', 'apt.conf', 'sources.list'].map((name) =>
        rm(join(work, name), { recursive: true, force: true }),
      ),
    )
  }
}

/** Killed with us, and with it everything that a maintainer script may have left running. */
const confined = [
  '--pdeathsig',
  'KILL',
  'unshare',
  '--mount',
  '--net',
  '--ipc',
  '--uts',
  '--pid',
  '--fork',
  '--kill-child=KILL',
  '--mount-proc',
  'sh',
  '-c',
]

const mmdebstrap = (names: readonly string[]): string[] => [
  '--mode=root',
  '--variant=apt',
  '--format=directory',
  `--architectures=${architecture}`,
  // All by name: the set is then what was resolved, whatever else could satisfy a dependency.
  `--include=${names.join(',')}`,
  '--dpkgopt=force-unsafe-io',
  '--verbose',
  suiteName,
]

const suiteName = 'stack'

/** Whether a root of that many bytes, and its .debs, leave enough of this machine's memory to others. */
async function fitsMemory(installed: number): Promise<boolean> {
  const text = await readFile('/proc/meminfo', 'utf8')
  const available = Number(/^MemAvailable: +(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
  return installed * 1.5 + 256e6 < available / 2
}

/**
 * A flat apt repository (sources.list(5)) of links to the blobs. Returns how many bytes the packages say that they take
 * when installed.
 */
async function writeRepository(
  directory: string,
  packages: readonly ResolvedPackage[],
  store: Store,
  signal?: AbortSignal,
): Promise<number> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  // One process for all: they are hundreds, and packages are read into components meanwhile.
  const each = 'for deb; do dpkg-deb --field "$deb" || exit; printf "\\0"; done'
  const paths = packages.map(({ deb }) => store.path(deb))
  for (const { deb } of packages) if (!(await store.has(deb))) await store.read(deb)
  const controls = (await run('sh', ['-c', each, 'sh', ...paths], signal && { signal })).split('\0')
  const stanzas = await Promise.all(
    packages.map(async (one, index) => {
      const file = `${one.name}_${hexOf(one.deb).slice(0, 16)}.deb`
      await symlink(store.path(one.deb), join(directory, file))
      const size = await store.size(one.deb)
      return `${controls[index]!.trimEnd()}\nFilename: ./${file}\nSize: ${size}\nSHA256: ${hexOf(one.deb)}\n`
    }),
  )
  const index = stanzas.join('\n')
  await writeFile(join(directory, 'Packages'), index)
  const release = [
    'Origin: Bootloom',
    `Suite: ${suiteName}`,
    `Codename: ${suiteName}`,
    'Date: Thu, 01 Jan 2026 00:00:00 UTC',
    `Architectures: ${architecture}`,
    'SHA256:',
    ` ${hexOf(digestOf(index))} ${Buffer.byteLength(index)} Packages`,
    '',
  ]
  await writeFile(join(directory, 'Release'), release.join('\n'))
  const kilobytes = stanzas.map((stanza) => Number(/^Installed-Size: (\d+)/m.exec(stanza)?.[1] ?? 0))
  return kilobytes.reduce((sum, size) => sum + size * 1024, 0)
}

function asInstallError(error: unknown, streamed: readonly string[]): unknown {
  if (!(error instanceof BootloomError) || error.code !== 'COMMAND_FAILED') return error
  const lines = streamed.length > 0 ? streamed : outputOf(error)
  const failure = describeFailure(lines)
  return new BootloomError(failure.code, failure.message, { details: failure.details, cause: error })
}

/** What mmdebstrap's output says went wrong. */
export function describeFailure(lines: readonly string[]): { code: ErrorCode; message: string; details: string[] } {
  const full = lines.findIndex((line) => /No space left on device/.test(line))
  if (full !== -1) return { code: 'DISK_FULL', message: 'the disk is full', details: lines.slice(full, full + 1) }
  const at = lines.findIndex((line) => /dpkg: error processing (package|archive) /.test(line))
  if (at === -1) {
    const corrupt = lines.some((line) => /Hash Sum mismatch|unexpected size/.test(line))
    return {
      code: corrupt ? 'BLOB_CORRUPT' : 'PACKAGE_INSTALL_FAILED',
      message: corrupt ? 'a package in the store is damaged' : 'the packages could not be installed',
      details: lines.slice(-12),
    }
  }
  const name = lines[at]!.match(/processing (?:package|archive) (\S+)/)![1]!
  const start = lines.findLastIndex((line, index) => index < at && /^(Setting up|Preparing to unpack) /.test(line))
  return {
    code: 'PACKAGE_INSTALL_FAILED',
    message: `${name.replace(/^.*\//, '').replace(/:.*$/, '')} could not be installed`,
    details: lines.slice(Math.max(start, at - 10, 0), at + 2),
  }
}
