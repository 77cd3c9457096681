import { expect, test } from 'vitest'
import { memoryParts, processParts } from '../../src/change/weigh/memory-parts.ts'
import { parseMemory } from '../../src/change/weigh/told.ts'

const told = `== meminfo
MemTotal:         225000 kB
MemFree:          100000 kB
Buffers:               0 kB
Cached:            50000 kB
AnonPages:         20000 kB
Shmem:             40000 kB
Slab:              15000 kB
KernelStack:        1000 kB
PageTables:          800 kB
VmallocUsed:        3000 kB
Percpu:              200 kB
== kernel
Memory: 203436K/261624K available (14343K kernel code, 2326K rwdata, 9060K rodata, 2796K init, 4404K bss, 57928K reserved, 0K cma-reserved)
== root
41000000
== modules
virtio_net 65536 0 - Live 0x0000000000000000
net_failover 20480 1 virtio_net, Live 0x0000000000000000
== slab
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
dentry              2856   2856    192   21    1 : tunables    0    0    0 : slabdata    136    136      0
inode_cache         2000   2000    600   13    2 : tunables    0    0    0 : slabdata    160    160      0
== processes
1\t300\t0\t900\tinit\t/.bootloom/busybox
90\t4000\t0\t5000\tapache2\t/usr/sbin/apache2
91\t1000\t0\t5000\tapache2\t/usr/sbin/apache2
x\t1\t2\t3\thostile\t/x
== mapped
0\t40\t/usr/lib/libc.so.6
0\t80\t/usr/lib/libc.so.6
139264\t20\t/usr/lib/libc.so.6
`

test('what a node tells of its memory is read section by section, and what does not fit is left out', () => {
  const memory = parseMemory(told)
  expect(memory.info.MemTotal).toBe(225_000 * 1024)
  expect(memory.kernel).toEqual({
    ...{ code: 14343 * 1024, rwdata: 2326 * 1024, rodata: 9060 * 1024, init: 2796 * 1024 },
    ...{ bss: 4404 * 1024, reserved: 57928 * 1024 },
  })
  expect(memory.root).toBe(41_000_000)
  expect(memory.modules).toBe(65536 + 20480)
  expect(memory.slabs).toEqual([
    { name: 'inode_cache', bytes: 160 * 2 * 4096 },
    { name: 'dentry', bytes: 136 * 4096 },
  ])
  expect([...memory.mapped]).toEqual([['/usr/lib/libc.so.6', 100 * 1024]])
  expect(processParts(memory).map(({ name, bytes }) => [name, bytes / 1024])).toEqual([
    ['2 × apache2', 5000],
    ['init (Bootloom)', 300],
  ])
  expect(parseMemory('').processes).toEqual([])
})

test('the parts of the memory come to all of it', () => {
  const ram = 256 * 1024 * 1024
  const parts = memoryParts(ram, parseMemory(told))
  expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(ram)
  const of = (name: string) => parts.find((part) => part.name === name)!.bytes / 1024
  expect(of('files in RAM (tmpfs)')).toBe(40_000)
  expect(of('page cache')).toBe(10_000)
  expect(of('kernel: modules and other mapped memory')).toBe(2000)
})
