import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { driversOf, firmwareWarnings } from '../../src/change/hardware.ts'
import { run } from '../../src/config/command.ts'
import type { Component } from '../../src/repository/component.ts'
import { driversFor, matches } from '../../src/repository/kernel/drivers.ts'
import { firmwareFor } from '../../src/repository/kernel/firmware.ts'
import { modulesFor } from '../../src/repository/kernel/kernel.ts'
import { Store } from '../../src/store/store.ts'
import { kernelPackage } from '../boot/machine.ts'
import { componentOf, stackOf, type Tree } from '../compose/stack.ts'

let directory: string
let store: Store
let kernel: Component

const virtioCard = 'pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00'
const virtioNet = 'virtio:d00000001v00001AF4'
const e1000 = 'pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00'
const hostBridge = 'pci:v00008086d00001237sv00001AF4sd00001100bc06sc00i00'
const disk = 'pci:v00008086d00007010sv00001AF4sd00001100bc01sc01i80'
const watchdog = 'pci:v00008086d000025ABsv00001AF4sd00001100bc08sc80i00'
const daq = 'pci:v00001402d00002600sv00000000sd00000000bc0BscFFi00'

/** Debian's own cloud kernel, all of its modules named, some of them with their bytes. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-drivers-'))
  store = await Store.open(join(directory, 'store'))
  const { root, release } = await kernelPackage()
  // The package's own stays as it came.
  await run('cp', ['--archive', '--link', join(root, 'lib'), directory])
  await run('depmod', ['--basedir', directory, release])
  const at = `/usr/lib/modules/${release}`
  const tree: Record<string, Tree[string]> = {}
  for (const name of ['modules.dep', 'modules.softdep', 'modules.alias']) {
    tree[`${at}/${name}`] = await readFile(join(directory, 'lib', 'modules', release, name))
  }
  for (const name of ['modules.builtin', 'modules.builtin.modinfo']) {
    tree[`${at}/${name}`] = await readFile(join(root, 'lib', 'modules', release, name))
  }
  for (const path of (await run('find', ['.', '-name', '*.ko'], { cwd: join(root, 'lib', 'modules', release) })).split(
    '\n',
  )) {
    const file = path.replace('./', '')
    tree[`${at}/${file}`] = file.includes('me_daq')
      ? await readFile(join(root, 'lib', 'modules', release, file))
      : `stands for ${file}`
  }
  kernel = await store.readJson((await componentOf(store, 'kernel', release, '6.1', tree)).digest)
}, 60_000)
afterAll(() => rm(directory, { recursive: true, force: true }))

test.each([
  ['pci:v00008086d0000100Esv*sd*bc*sc*i*', e1000, true],
  ['pci:v00008086d0000100Fsv*sd*bc*sc*i*', e1000, false],
  ['virtio:d00000001v*', virtioNet, true],
  ['acpi*:PNP0C0[AB]:*', 'acpi:PNP0C0B:', true],
  ['acpi*:PNP0C0[AB]:*', 'acpi:PNP0C0C:', false],
  ['usb:v*p*d*dc*dsc*dp*ic09isc00ip*in*', 'usb:v1D6Bp0002d0601dc09dsc00dp01ic09isc00ip00in00', true],
  ['x[0-3]?', 'x2z', true],
  ['x[!0-3]?', 'x2z', false],
  ['*a*b', 'aab-b', true],
  ['*a*b', 'aab-', false],
  ['', '', true],
])('the pattern %s against %s: %s', (pattern, text, fits) => expect(matches(pattern, text)).toBe(fits))

test('a machine gets the drivers that its devices name, with what these need', async () => {
  const { modules, unserved } = await driversFor(kernel, store, [virtioCard, virtioNet, e1000, hostBridge], () => true)
  expect(modules).toEqual(['virtio_net', 'virtio_pci'])
  expect(unserved).toEqual([e1000, hostBridge])
  const ordered = (await modulesFor(kernel, store, modules)).map(({ name }) => name)
  expect(ordered.indexOf('virtio_ring')).toBeLessThan(ordered.indexOf('virtio_net'))
  expect(ordered).toContain('net_failover')
})

test('what nodes merely have brings no disks; what the blueprint states does; a card without a driver is named', async () => {
  const reported = await driversOf({ stated: undefined, reported: [virtioNet, disk, e1000, hostBridge] }, kernel, store)
  expect(reported.modules).toEqual(['virtio_net'])
  expect(reported.warnings).toEqual([`no driver of ${kernel.name} serves Ethernet controller 8086:100e (${e1000})`])
  const stated = await driversOf({ stated: [disk, watchdog], reported: [] }, kernel, store)
  expect(stated.modules).toContain('ata_piix')
  expect(stated.warnings).toEqual([`no driver of ${kernel.name} serves system peripheral 8086:25ab (${watchdog})`])
})

test('firmware follows its modules out of the packages of the stack, and what none has is named', async () => {
  const { modules } = await driversFor(kernel, store, [daq], () => true)
  expect(modules).toEqual(['me_daq'])
  const loaded = await modulesFor(kernel, store, modules)
  const busybox = await componentOf(store, 'deb', 'busybox-static', '1', { '/bin/busybox': 'x' })
  const stack = (packages: Awaited<ReturnType<typeof componentOf>>[]) => stackOf(packages, busybox, busybox)
  const missing = await firmwareFor(loaded, stack([]), store)
  expect(missing.files).toEqual([])
  expect(firmwareWarnings(missing)).toEqual([
    'the module me_daq may ask for firmware that no package of the stack has: me2600_firmware.bin',
  ])
  const firmware = await componentOf(store, 'deb', 'firmware-misc', '1', {
    '/usr/lib/firmware/me2600_firmware.bin': { to: 'real/me.bin' },
    '/usr/lib/firmware/real/me.bin': 'microcode',
  })
  const { files } = await firmwareFor(loaded, stack([firmware]), store)
  expect(files.map(({ name, entry }) => [name, entry.size])).toEqual([['me2600_firmware.bin', 9]])
})
