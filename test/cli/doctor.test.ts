import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bootloom } from './launcher.ts'

interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warn' | 'fail'
  readonly found: string
  readonly mend?: string
}

let directory: string

beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'bootloom-doctor-test-')))
})
afterAll(() => rmSync(directory, { recursive: true }))

async function doctor(env: Record<string, string> = {}) {
  const { stdout, exitCode } = await bootloom(['doctor', '--json', '--state', directory], { env })
  return { exitCode, ...(JSON.parse(stdout) as { ok: boolean; findings: Finding[] }) }
}

test('every finding that is amiss says how to mend it, and the exit status follows the worst', async () => {
  const { ok, findings, exitCode } = await doctor()
  expect(findings.length).toBeGreaterThan(9)
  for (const { check, level, mend } of findings) {
    expect(mend !== undefined, `${check} says how to mend it`).toBe(level !== 'ok')
  }
  const worst = findings.some(({ level }) => level === 'fail')
  expect([ok, exitCode]).toEqual([!worst, worst ? 1 : 0])
  expect(findings.find(({ check }) => check === 'node')?.level).toBe('ok')
})

test('a boot interface that is not there, and a Redis that does not answer, are failures', async () => {
  const env = { BOOTLOOM_NETWORK_INTERFACE: 'nowhere0', BOOTLOOM_REDIS_URL: 'redis://:hunter2@127.0.0.1:1' }
  const { findings, exitCode } = await doctor(env)
  expect(exitCode).toBe(1)
  const failed = findings.filter(({ level }) => level === 'fail').map(({ check }) => check)
  expect(failed).toEqual(expect.arrayContaining(['interface', 'redis']))
  expect(JSON.stringify(findings)).not.toContain('hunter2')
})

test('an interface that is there is named with its address, and its ports are looked at', async () => {
  const { findings } = await doctor({ BOOTLOOM_NETWORK_INTERFACE: 'lo' })
  expect(findings.find(({ check }) => check === 'interface')?.found).toContain('127.0.0.1')
  expect(findings.filter(({ check }) => check.startsWith('port '))).toHaveLength(3)
})
