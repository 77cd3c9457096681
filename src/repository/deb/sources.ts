import { readFile } from 'node:fs/promises'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import type { DebRequest } from '../request.ts'
import { parseStanzas } from './control.ts'

export const architecture = 'amd64'

interface Target {
  readonly uri: string
  readonly release: string
  readonly entry: string
}

/**
 * The apt sources for a request, in deb822 (sources.list(5)), taken from the machine's own: same mirror, same keys.
 * Sources of other vendors are left out, also where they name their suites like Debian's.
 */
export async function aptSources(request: DebRequest): Promise<string> {
  const targets = await debianTargets()
  const suites = [
    request.suite,
    ...(request.updates ? [`${request.suite}-updates`] : []),
    ...(request.security ? [`${request.suite}-security`] : []),
  ]
  const stanzas: string[] = []
  for (const suite of suites) {
    const offered = targets.filter((target) => target.release === suite)
    if (offered.length === 0) throw unavailable(suite, request)
    for (const target of offered) stanzas.push(await stanzaOf(target))
  }
  return stanzas.join('\n')
}

/** Every main index of the machine's sources whose vendor is Debian, or not known yet (never updated). */
async function debianTargets(): Promise<Target[]> {
  const query = (...more: string[]) =>
    run('apt-get', [
      'indextargets',
      ...more,
      '--format',
      '$(REPO_URI)\t$(RELEASE)\t$(SOURCESENTRY)\t$(ORIGIN)',
      'Created-By: Packages',
      'Component: main',
      `Architecture: ${architecture}`,
    ])
  const rows = (text: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\t'))
  // With release information only what was downloaded before is listed; without, everything, but no vendor.
  const [known, all] = await Promise.all([query(), query('--no-release-info')])
  const foreign = new Set(
    rows(known)
      .filter(([, , , origin]) => origin !== 'Debian')
      .map(([uri, release]) => `${uri} ${release}`),
  )
  const targets = new Map<string, Target>()
  for (const [uri = '', release = '', entry = ''] of rows(all)) {
    const key = `${uri} ${release}`
    if (!foreign.has(key)) targets.set(key, { uri, release, entry })
  }
  return [...targets.values()]
}

function unavailable(suite: string, request: DebRequest): BootloomError {
  const setting = suite.slice(request.suite.length + 1)
  return new BootloomError('SUITE_UNAVAILABLE', `no apt source of this machine offers ${suite}`, {
    hint: setting
      ? `Add ${suite} to the machine's apt sources (/etc/apt/sources.list.d), or set '${setting}: false' in the blueprint.`
      : `Add ${suite} to the machine's apt sources (/etc/apt/sources.list.d), or name another suite in the blueprint.`,
  })
}

const inherited = ['Signed-By', 'Trusted', 'Check-Valid-Until', 'Check-Date', 'Valid-Until-Max']

async function stanzaOf(target: Target): Promise<string> {
  const options = await optionsOf(target.entry)
  return [
    'Types: deb',
    `URIs: ${target.uri}`,
    `Suites: ${target.release}`,
    'Components: main',
    `Architectures: ${architecture}`,
    ...inherited.flatMap((name) => {
      const value = options.get(name.toLowerCase())
      return value === undefined ? [] : [`${name}: ${value}`]
    }),
    '',
  ].join('\n')
}

/** Options of a source entry, which apt names as FILE:LINE for one-line files and FILE:STANZA for deb822 files. */
async function optionsOf(entry: string): Promise<Map<string, string>> {
  const colon = entry.lastIndexOf(':')
  const file = entry.slice(0, colon)
  const number = Number(entry.slice(colon + 1))
  const text = await readFile(file, 'utf8')
  if (file.endsWith('.sources')) return parseStanzas(text)[number - 1] ?? new Map()
  const bracket = text.split('\n')[number - 1]?.match(/^\s*deb\s+\[([^\]]*)\]/)?.[1] ?? ''
  return new Map(
    bracket
      .trim()
      .split(/\s+/)
      .filter((word) => word.includes('='))
      .map((word) => [word.slice(0, word.indexOf('=')).toLowerCase(), word.slice(word.indexOf('=') + 1)]),
  )
}
