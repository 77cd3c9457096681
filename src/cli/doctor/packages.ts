import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Finding, fail, ok, warn } from './finding.ts'

const list = join(import.meta.dirname, '..', '..', '..', 'lab', 'packages.txt')

/** Every Debian package that lab/packages.txt names, one finding for all that are missing. */
export async function checkPackages(): Promise<Finding[]> {
  const wanted = (await readFile(list, 'utf8'))
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((name) => name !== '')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = await execa('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...wanted], {
    reject: false,
  })
  if (query.code === 'ENOENT') {
    return [
      fail('packages', 'this is no Debian: dpkg-query is missing', 'Run Bootloom on Debian 12, or a relative of it.'),
    ]
  }
  const installed = new Set(
    query.stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]!] : [])),
  )
  const missing = wanted.filter((name) => !installed.has(name))
  if (missing.length === 0) return [ok('packages', `all ${wanted.length} Debian packages are installed`)]
  return [fail('packages', `missing: ${missing.join(', ')}`, `apt-get install ${missing.join(' ')}`)]
}

/** Stacks are installed from the suites that this machine's apt knows how to reach and to verify. */
export async function checkAptSources(): Promise<Finding[]> {
  const { stdout, exitCode } = await execa('apt-get', ['indextargets', '--format', '$(CODENAME)|$(SUITE)'], {
    reject: false,
  })
  const mend = 'Add the suites to /etc/apt/sources.list, then `apt-get update`.'
  if (exitCode !== 0) return [warn('apt sources', 'apt-get does not say what it knows', mend)]
  if (!/bookworm/.test(stdout)) return [warn('apt sources', 'apt knows no bookworm suite', mend)]
  const missing = ['bookworm-security', 'bookworm-updates'].filter((suite) => !stdout.includes(suite))
  if (missing.length === 0) return [ok('apt sources', 'bookworm, with its updates and security suites')]
  return [warn('apt sources', `apt does not know ${missing.join(' and ')}`, mend)]
}

/** Which package brings which file that nodes, or the lab's firmware, are started from. */
const files: Readonly<Record<string, readonly string[]>> = {
  ipxe: ['/usr/lib/ipxe/undionly.kpxe', '/usr/lib/ipxe/snponly.efi'],
  ovmf: ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
}

export async function checkBootPrograms(): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [name, paths] of Object.entries(files)) {
    const missing: string[] = []
    for (const path of paths) await access(path).catch(() => missing.push(path))
    const check = name === 'ipxe' ? 'boot programs' : 'lab firmware'
    if (missing.length === 0) findings.push(ok(check, paths.map((path) => path.split('/').at(-1)).join(', ')))
    else findings.push(warn(check, `missing: ${missing.join(', ')}`, `apt-get install --reinstall ${name}`))
  }
  return findings
}
