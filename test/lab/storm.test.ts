import { rm } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { placeOf } from '../../lab/place.ts'
import { runScript } from '../../lab/storm/ipxe-script.ts'
import { inStormLab } from '../../lab/storm/lab.ts'
import { StageFailure } from '../../lab/storm/plan.ts'
import { storm } from '../../lab/storm/storm.ts'

/** Runs a script; what it fetched and how long it slept is noted. Scripts it may chain to are given by their URL. */
async function played(script: string, others: Record<string, string> = {}): Promise<string[]> {
  const noted: string[] = []
  await runScript(
    script,
    { 'netX/mac': '02:00:00:00:00:01', serial: 'A 1' },
    {
      sleep: async (seconds) => void noted.push(`sleep ${seconds}`),
      async chain(url) {
        noted.push(`chain ${url}`)
        return others[url]
      },
      async fetch(kind, name, url, words) {
        noted.push([kind, name, url, ...words].join(' '))
        return !url.includes('missing')
      },
    },
  ).catch((error: unknown) => {
    if (!(error instanceof StageFailure)) throw error
    noted.push(error.message)
  })
  return noted
}

describe('the script of a simulated node', () => {
  it('follows chains, fills variables in, and boots once it has a kernel', async () => {
    const chain = `#!ipxe\n:again\nchain --replace http://a/ipxe?mac=\${netX/mac}&s=\${serial:uristring} ||\ngoto again\n`
    const boot =
      '#!ipxe\nkernel --name kernel http://a/k initrd=b quiet || goto failed\ninitrd --name b http://a/i\nboot\n'
    const url = 'http://a/ipxe?mac=02:00:00:00:00:01&s=A%201'
    expect(await played(chain, { [url]: boot })).toEqual([
      `chain ${url}`,
      'kernel kernel http://a/k initrd=b quiet',
      'initrd b http://a/i',
    ])
  })

  it('goes where it says after a failure, and hands back when it ends', async () => {
    const script = '#!ipxe\nkernel http://a/missing || goto failed\nboot\n:failed\nsleep 10\n'
    expect(await played(script)).toEqual([
      'kernel kernel http://a/missing',
      'sleep 10',
      'the script ends without booting',
    ])
  })
})

describe.skipIf(process.getuid?.() !== 0)('a storm (skipped without root: it makes network namespaces)', () => {
  const place = placeOf({ name: `bootloom-storm-${process.pid}` })
  afterAll(() => rm(place.directory, { recursive: true, force: true }))

  it('brings every node to ready, some by TFTP, with the same bytes and an account of each stage', async () => {
    const weights = { kernel: 2_000_000, initramfs: 500_000 }
    const result = await inStormLab(place, { weights }, (api) =>
      storm(place, api, { nodes: 40, within: 1, kernelSeconds: 0, tftpShare: 0.2, hashShare: 1 }),
    )
    expect(result).toMatchObject({ ready: 40, readyByServer: 40, failures: [], differing: [] })
    expect(result.bytes.hashed).toBeGreaterThanOrEqual(40 * 2_500_000)
    expect(result.stages.find(({ stage }) => stage === 'tftp')?.count).toBeGreaterThan(0)
    expect(result.stages.find(({ stage }) => stage === 'power-on to ready')?.count).toBe(40)
  }, 60_000)
})
