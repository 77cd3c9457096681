import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dialects, snippet } from '../../src/dhcp/snippets.ts'

// That nodes boot by them is shown by lab/conformance/dhcp-modes.ts.
const programs = { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi', ia32Uefi: 'ia32.efi', arm64Uefi: 'arm64.efi' }
const server = { address: '10.77.0.1', httpPort: 8080, programs }

const subnet4 = '"subnet4": [{ "subnet": "10.77.0.0/24", "pools": [{ "pool": "10.77.0.200-10.77.0.240" }] }]'
const whole = {
  dnsmasq: (text: string) => text,
  kea: (text: string) => `{ "Dhcp4": {\n${text},\n${subnet4} } }`,
  isc: (text: string) => `${text}\nsubnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.200 10.77.0.240; }\n`,
}
const check = {
  dnsmasq: (file: string) => ['dnsmasq', '--test', `--conf-file=${file}`],
  kea: (file: string) => ['kea-dhcp4', '-t', file],
  isc: (file: string) => ['dhcpd', '-t', '-cf', file],
}

test.each(dialects)('%s itself finds nothing wrong with its snippet, which names every road', (dialect) => {
  const text = snippet(dialect, server)
  for (const file of ['undionly.kpxe', 'snponly.efi', 'ia32.efi', 'arm64.efi', '/boot.ipxe', '/program/snponly.efi']) {
    expect(text).toContain(file)
  }
  const directory = mkdtempSync(join(tmpdir(), 'snippet-'))
  try {
    const file = join(directory, 'configuration')
    writeFileSync(file, whole[dialect](text))
    const [command, ...words] = check[dialect](file) as [string, ...string[]]
    const env = { ...process.env, KEA_PIDFILE_DIR: directory, KEA_LOCKFILE_DIR: directory }
    execFileSync(command, words, { stdio: 'pipe', env })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a road whose boot program is missing is not in it', () => {
  const { bios, x64Uefi } = programs
  expect(snippet('isc', { ...server, programs: { bios, x64Uefi } })).not.toContain('arm64')
})
