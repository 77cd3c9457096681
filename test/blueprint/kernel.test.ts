import { describe, expect, it } from 'vitest'
import { chooseFragments, type KernelNeeds, optionsOf, unservedCards } from '../../src/blueprint/kernel-choice.ts'
import { loadKernelFragments, parseFragments } from '../../src/blueprint/kernel-fragments.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'

const fragments = await loadKernelFragments()
const needs = (given: Partial<KernelNeeds> = {}): KernelNeeds => ({
  paths: [],
  hardware: undefined,
  wants: [],
  named: [],
  options: {},
  ...given,
})
const chosen = (given: Partial<KernelNeeds> = {}) =>
  new Map(chooseFragments(fragments, needs(given)).map(({ name, because }) => [name, because]))

/** As /sys/bus/pci/devices has them: Intel's I210, a card that nobody knows, a graphics card. */
const i210 = 'pci:v00008086d00001533sv00001028sd0000044Ebc02sc00i00'
const strange = 'pci:v0000DEADd0000BEEFsv00000000sd00000000bc02sc00i00'
const graphics = 'pci:v0000102Bd00000536sv00001028sd000006A5bc03sc00i00'

describe('fragments of kernel configurations', () => {
  it('has a base, every mitigation and the devices of virtual machines where nothing is stated', () => {
    const found = chosen()
    for (const name of ['base', 'mitigations', 'hardening', 'kexec', 'watchdog']) expect(found.get(name)).toBe('always')
    for (const name of ['virtio', 'e1000', 'e1000e']) expect(found.get(name)).toBe('no hardware is stated')
    for (const name of ['igb', 'reach', 'image-root', 'misses', 'cgroups']) expect(found.has(name)).toBe(false)
  })

  it('chooses drivers by the devices that are stated, and those alone', () => {
    const found = chosen({ hardware: [i210, graphics] })
    expect(found.get('igb')).toBe(i210)
    expect(found.get('vga-screen')).toBe(graphics)
    expect(found.get('machine-checks')).toBe('with igb')
    for (const name of ['virtio', 'e1000', 'e1000e', 'tg3']) expect(found.has(name)).toBe(false)
  })

  it('names a network card that no fragment serves, and no other device', () => {
    expect(unservedCards(fragments, [i210, strange, graphics])).toEqual([strange])
  })

  it('goes by what the bundle keeps, and tells the path', () => {
    const path = '/usr/lib/x86_64-linux-gnu/liburing.so.2.3.0'
    expect(chosen({ paths: ['/etc/passwd', path] }).get('io-uring')).toBe(path)
  })

  it('goes by how the bundle is made', () => {
    expect(chosen({ wants: ['squashfs'] }).has('image-root')).toBe(true)
    expect(chosen({ wants: ['fuse'] }).has('reach')).toBe(true)
    expect(chosen({ wants: ['learn'] }).has('misses')).toBe(true)
  })

  it('takes what the blueprint names, its own options over all', () => {
    const found = chooseFragments(fragments, needs({ named: ['cgroups'], options: { IPV6: 'n', HZ: 100 } }))
    expect(found.find(({ name }) => name === 'cgroups')?.because).toBe('kernel.fragments')
    const options = optionsOf(found)
    expect(options.get('IPV6')).toEqual({ value: 'n', fragment: 'blueprint' })
    expect(options.get('MEMCG')).toEqual({ value: 'y', fragment: 'cgroups' })
    expect([...options.keys()]).toEqual([...options.keys()].sort())
  })

  it('refuses a name that no fragment has, with the nearest', () => {
    expect(() => chosen({ named: ['cgroup'] })).toThrow(
      expect.objectContaining({ code: 'KERNEL_FRAGMENT_UNKNOWN', hint: expect.stringContaining('cgroups') }),
    )
  })

  it('refuses what is no fragment, saying where', () => {
    const wrong = '- name: a\n  why: b\n  options: { lower: y }\n'
    expect(() => parseFragments(wrong, 'x.yaml')).toThrow(
      expect.objectContaining({ code: 'KERNEL_FRAGMENT_INVALID', where: 'x.yaml' }),
    )
    expect(() => parseFragments('- name: a\n  why: b\n  options: {}\n', 'x.yaml')).toThrow()
  })
})

describe("a blueprint's kernel", () => {
  const parsed = (kernel: string) =>
    parseBlueprint(
      `name: a\nstack: [ { deb: { packages: [apache2] } } ]\nprobe: { tcp: 80 }\nkernel: ${kernel}\n`,
      '/srv/a.yaml',
    ).kernel

  it('may be lean, with options of its own', () => {
    const { flavour, options } = parsed('{ flavour: lean, options: { IPV6: n, NR_CPUS: 8 } }')
    expect({ flavour, options }).toEqual({ flavour: 'lean', options: { IPV6: 'n', NR_CPUS: 8 } })
  })

  it.each([
    ['{ flavour: lean, repack: true }', 'kernel.repack'],
    ['{ fragments: [cgroups] }', 'kernel.fragments'],
    ['{ options: { IPV6: n } }', 'kernel.options'],
    ['{ flavour: lean, options: { ipv6: n } }', 'kernel.options'],
    ["{ flavour: lean, options: { A: '\"; rm' } }", 'kernel.options'],
    ['{ flavour: lean, hardware: ["x y"] }', 'kernel.hardware'],
  ])('refuses %s', (kernel, where) => {
    expect(() => parsed(kernel)).toThrow(
      expect.objectContaining({ code: 'BLUEPRINT_INVALID', details: [expect.stringContaining(where)] }),
    )
  })
})
