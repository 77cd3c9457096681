import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configText, droppedFrom, type KernelOptions, refuseDropped } from '../../src/repository/kernel/config.ts'

const options = (given: Record<string, string>): KernelOptions =>
  new Map(Object.entries(given).map(([option, value]) => [option, { value, fragment: 'mine' }]))

describe('a configuration of a kernel', () => {
  it('is written as kconfig reads it', () => {
    expect(configText(options({ SMP: 'y', IPV6: 'n', NR_CPUS: '64', BASE: '0x1f', LOCALVERSION: '-lean' }))).toBe(
      'CONFIG_SMP=y\n# CONFIG_IPV6 is not set\nCONFIG_NR_CPUS=64\nCONFIG_BASE=0x1f\nCONFIG_LOCALVERSION="-lean"\n',
    )
  })

  it('tells what was dropped: another value, not there, or on where it should be off', () => {
    const config = '#\nCONFIG_SMP=y\nCONFIG_NR_CPUS=8\n# CONFIG_IPV6 is not set\nCONFIG_BPF=y\n'
    const wanted = options({ SMP: 'y', NR_CPUS: '64', IPV6: 'n', GONE: 'n', BPF: 'n', NET: 'y' })
    expect(droppedFrom(config, wanted)).toEqual(['NR_CPUS', 'BPF', 'NET'])
  })
})

describe('an option that is dropped', () => {
  let tree: string
  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'kconfig-'))
    mkdirSync(join(tree, 'kernel'))
    writeFileSync(
      join(tree, 'kernel', 'Kconfig'),
      `config KPROBES
	bool "Kprobes"
	depends on MODULES && (HAVE_KPROBES || \\
		OTHER)
	depends on !SLOW

menu "Tracing"
	depends on TRACING

if NET
config DEEP
	tristate "Deep"
endif
endmenu
`,
    )
  })
  afterAll(() => rmSync(tree, { recursive: true }))

  const refused = (option: string, config: string) =>
    refuseDropped(config, options({ [option]: 'y' }), tree).then(
      () => undefined,
      (error) => error,
    )

  it('is an error that names it, its fragment and what it needs', async () => {
    const error = await refused('KPROBES', 'CONFIG_HAVE_KPROBES=y\n')
    expect(error).toMatchObject({ code: 'KERNEL_OPTION_DROPPED', where: 'KPROBES' })
    expect(error.message).toContain('CONFIG_KPROBES of the fragment mine')
    expect(error.details).toEqual([
      expect.stringMatching(/^CONFIG_KPROBES=y of mine: needs MODULES && \(HAVE_KPROBES \|\|\s+OTHER\)$/),
    ])
  })

  it('may stand in menus and blocks that are off', async () => {
    const error = await refused('DEEP', 'CONFIG_TRACING=y\n')
    expect(error.details).toEqual(['CONFIG_DEEP=y of mine: needs NET'])
    expect((await refused('DEEP', '')).details).toEqual(['CONFIG_DEEP=y of mine: needs TRACING, and NET'])
  })

  it('may be one that this kernel does not have', async () => {
    expect((await refused('KPROBE', '')).details).toEqual(['CONFIG_KPROBE=y of mine: this kernel has no such option'])
  })

  it('is none when it is there', async () => {
    expect(await refused('KPROBES', '#\nCONFIG_KPROBES=y\n')).toBeUndefined()
  })
})
