import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError, type ErrorCode } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import { digestOf, hexOf } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { eachOf } from '../each.ts'
import { outputOf } from './apt.ts'
import type { ResolvedPackage } from './resolve.ts'
import { architecture } from './sources.ts'

interface InstallOptions {
  readonly packages: readonly ResolvedPackage[]
  /** Seconds since 1970, for whatever the installation dates itself (days in shadow(5), generated files). */
  readonly sourceDateEpoch: number
  /** Does not exist yet; may be left half-made when this fails. */
  readonly root: string
  /** A directory for the passing repository; removed in the end. */
  readonly work: string
}

/**
 * Installs exactly these packages into `root`, running their maintainer scripts once. mmdebstrap works in namespaces of
 * its own: no network, another host name, and no process of it outlives it.
 */
export async function installPackages(
  options: InstallOptions,
  store: Store,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<void> {
  if (process.getuid?.() !== 0) throw new BootloomError('INSTALL_NEEDS_ROOT', 'installing a stack takes root')
  const repository = join(options.work, 'repository')
  await writeRepository(repository, options.packages, store, signal)
  const total = options.packages.length * 2
  let steps = 0
  const output: string[] = []
  try {
    await run('setpriv', [...confined, ...mmdebstrap(options, repository)], {
      env: { SOURCE_DATE_EPOCH: String(options.sourceDateEpoch), LC_ALL: 'C.UTF-8', TMPDIR: options.work },
      ...(signal === undefined ? {} : { signal }),
      onLine: (line) => {
        output.push(line)
        const step = line.match(/^(Unpacking|Setting up) (\S+)/)
        if (!step) return
        const [, verb, name] = step
        progress({ step: 'install', detail: `${verb} ${name}`.toLowerCase(), fraction: Math.min(1, ++steps / total) })
      },
    })
    await Promise.all(leftovers.map((path) => rm(join(options.root, path), { force: true })))
  } catch (error) {
    throw asInstallError(error, output)
  } finally {
    await rm(repository, { recursive: true, force: true })
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
  'echo localhost > /proc/sys/kernel/hostname; exec "$@"',
  'sh',
]

function mmdebstrap(options: InstallOptions, repository: string): string[] {
  return [
    'mmdebstrap',
    '--mode=root',
    '--variant=apt',
    '--format=directory',
    `--architectures=${architecture}`,
    // All by name: the set is then what was resolved, whatever else could satisfy a dependency.
    `--include=${options.packages.map((one) => one.name).join(',')}`,
    '--dpkgopt=force-unsafe-io',
    '--verbose',
    suiteName,
    options.root,
    // Every .deb was checked against the signed index when it was fetched, and is named here by its digest.
    `deb [trusted=yes] copy:${encodeURI(repository)} ./`,
  ]
}

const suiteName = 'stack'

/** Copied from this machine, or telling of the act of installing: not of the stack. */
const leftovers = [
  'etc/hostname',
  'etc/resolv.conf',
  'etc/apt/sources.list',
  'etc/apt/apt.conf.d/99mmdebstrap',
  'etc/dpkg/dpkg.cfg.d/99mmdebstrap',
]

/** A flat apt repository (sources.list(5)) of links to the blobs. */
async function writeRepository(
  directory: string,
  packages: readonly ResolvedPackage[],
  store: Store,
  signal?: AbortSignal,
): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const stanzas: string[] = []
  await eachOf(packages, 4, async (one, index) => {
    signal?.throwIfAborted()
    const file = `${one.name}_${hexOf(one.deb).slice(0, 16)}.deb`
    const size = await store.size(one.deb)
    if (size === undefined) await store.read(one.deb)
    await symlink(store.path(one.deb), join(directory, file))
    const control = await run('dpkg-deb', ['--field', store.path(one.deb)])
    stanzas[index] = `${control.trimEnd()}\nFilename: ./${file}\nSize: ${size}\nSHA256: ${hexOf(one.deb)}\n`
  })
  const index = `${stanzas.join('\n')}`
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
