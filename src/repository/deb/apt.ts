import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ExecaError } from 'execa'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import { architecture } from './sources.ts'

/** apt with lists and a (empty) package state of its own; proxy, credentials and certificates are the machine's. */
export interface AptRoot {
  readonly directory: string
  readonly downloads: string
  apt(tool: 'apt-get' | 'apt-cache', words: readonly string[], options?: AptOptions): Promise<string>
}

interface AptOptions {
  readonly cwd?: string
  readonly signal?: AbortSignal | undefined
  readonly onLine?: (line: string) => void
}

/** Others than Debian cannot bring a package in, whatever their sources name themselves. */
const preferences = `Package: *
Pin: release o=Debian
Pin-Priority: 500

Package: *
Pin: release *
Pin-Priority: -1

`

export async function openAptRoot(stateDirectory: string, sources: string): Promise<AptRoot> {
  const name = createHash('sha256').update(sources).digest('hex').slice(0, 16)
  const directory = join(stateDirectory, 'apt', name)
  const downloads = join(directory, 'downloads')
  for (const path of ['sources', 'state/lists/partial', 'cache/archives/partial', 'downloads']) {
    await mkdir(join(directory, path), { recursive: true })
  }
  await writeFile(join(directory, 'status'), '')
  await writeFile(join(directory, 'preferences'), preferences)
  await writeFile(join(directory, 'sources', 'debian.sources'), sources)
  const settings = {
    'Dir::State': join(directory, 'state'),
    'Dir::State::status': join(directory, 'status'),
    'Dir::Cache': join(directory, 'cache'),
    'Dir::Cache::pkgcache': 'pkgcache.bin',
    'Dir::Cache::srcpkgcache': 'srcpkgcache.bin',
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(directory, 'sources'),
    'Dir::Etc::preferences': join(directory, 'preferences'),
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::Log': join(directory, 'log'),
    'APT::Architecture': architecture,
    'APT::Default-Release': '',
    'APT::Install-Recommends': 'false',
    'APT::Install-Suggests': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  }
  // On the command line: files of the machine's apt.conf.d would override what APT_CONFIG names.
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  return {
    directory,
    downloads,
    apt: (tool, words, options = {}) =>
      run(tool, [...flags, ...words], {
        env: { LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
      }),
  }
}

/** Brings the lists up to date; signatures are checked by apt. */
export async function updateLists(root: AptRoot, signal?: AbortSignal): Promise<void> {
  try {
    await root.apt('apt-get', ['update', '-q', '--error-on=any'], { signal })
  } catch (error) {
    throw asMirrorError(error)
  }
}

/** A failure of apt while it fetches, by its meaning. */
export function asMirrorError(error: unknown): unknown {
  if (!(error instanceof BootloomError) || error.code !== 'COMMAND_FAILED') return error
  return new BootloomError('MIRROR_UNREACHABLE', 'apt could not fetch from the mirror', {
    details: outputOf(error).filter((line) => /^[EW]:|^Err/.test(line)),
    cause: error,
  })
}

/** All lines of a failed command: standard output, then standard error. */
export function outputOf(error: BootloomError): string[] {
  if (!(error.cause instanceof ExecaError)) return [...error.details]
  return `${error.cause.stdout ?? ''}\n${error.cause.stderr ?? ''}`.split('\n').filter((line) => line !== '')
}
