import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { buildApi } from '../../src/http/api-server.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { Store } from '../../src/store/store.ts'

const secret = 'not-for-anybody'
let directory: string
let state: State
let api: Awaited<ReturnType<typeof buildApi>>
let macs = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'power-'))
  const settings = settingsSchema.parse({ state: directory })
  state = await openState({ directory }, silent)
  api = await buildApi({ state, store: await Store.open(join(directory, 'store')), settings, log: silent })
})
afterAll(async () => {
  await api.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

async function ask(method: 'GET' | 'PUT' | 'POST', url: string, payload?: object) {
  const answer = await api.inject({ method, url, ...(payload ? { payload } : {}) })
  return { status: answer.statusCode, text: answer.body, body: answer.json() }
}

/** A node with this controller, and its login where one is given. */
async function node(power: string, login?: string): Promise<string> {
  const mac = `52:54:00:bb:00:${(++macs).toString(16).padStart(2, '0')}`
  expect(await ask('PUT', `/v1/nodes/${mac}`, { power })).toMatchObject({ status: 200 })
  if (login) expect(await ask('PUT', `/v1/nodes/${mac}/power-login`, { login })).toMatchObject({ status: 200 })
  return `/v1/nodes/${mac}`
}

const act = (of: string, action: string) => ask('POST', `${of}/power`, { action })
const status = async (of: string) => (await ask('GET', `${of}/power`)).body

describe('IPMI, at ipmi_sim', () => {
  let simulator: ChildProcess
  let port: number

  beforeAll(async () => {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    port = socket.address().port
    await new Promise<void>((resolve) => socket.close(() => resolve()))
    await mkdir(join(directory, 'sim'))
    await writeFile(
      join(directory, 'chassis'),
      `#!/bin/sh
case "$2 $3" in
  'get power') echo "power:$(cat ${directory}/power 2>/dev/null || echo 0)" ;;
  'set power') echo "$4" >${directory}/power ;;
esac
echo "$2 $3 $4" >>${directory}/asked
`,
    )
    await chmod(join(directory, 'chassis'), 0o755)
    await writeFile(
      join(directory, 'lan.conf'),
      `name "node"
set_working_mc 0x20
startlan 1
addr 127.0.0.1 ${port}
priv_limit admin
allowed_auths_admin none md2 md5 straight
guid a123456789abcdefa123456789abcdef
endlan
chassis_control "${directory}/chassis 0x20"
user 2 true "admin" "${secret}" admin 10 none md2 md5 straight
`,
    )
    const commands = 'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n'
    await writeFile(join(directory, 'commands'), commands)
    const words = ['-n', '-c', join(directory, 'lan.conf'), '-f', join(directory, 'commands')]
    simulator = spawn('ipmi_sim', [...words, '-s', join(directory, 'sim')], { stdio: 'ignore' })
    await sleep(300)
  })
  afterAll(() => simulator.kill('SIGKILL'))

  test('switches a machine on, off, and on again where it is off', async () => {
    const of = await node(`ipmi://127.0.0.1:${port}?cipher=3`, `admin:${secret}`)
    expect(await status(of)).toMatchObject({ power: 'off' })
    expect((await act(of, 'on')).status).toBe(200)
    expect(await status(of)).toMatchObject({ power: 'on' })
    expect((await act(of, 'off')).status).toBe(200)
    expect(await status(of)).toMatchObject({ power: 'off' })
    expect((await act(of, 'cycle')).status).toBe(200)
    expect(await status(of)).toMatchObject({ power: 'on' })
  })

  test('the password is in no argument, answer, list, event or error', async () => {
    const of = await node(`ipmi://127.0.0.1:${port}?cipher=3`, `admin:${secret}-wrong`)
    const failed = await act(of, 'on')
    expect(failed).toMatchObject({ status: 502, body: { error: { code: 'POWER_FAILED' } } })
    simulator.kill('SIGSTOP')
    const asked = status(await node(`ipmi://127.0.0.1:${port}?cipher=3`, `admin:${secret}`))
    await sleep(200)
    const arguments_ = await Promise.all(
      (await readdir('/proc'))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    )
    simulator.kill('SIGCONT')
    expect(await asked).toMatchObject({ power: 'on' })
    expect(arguments_.filter((line) => line.includes(`${port}`) && line.startsWith('ipmitool'))).toHaveLength(1)
    const seen = [failed.text, ...arguments_]
    for (const path of ['/v1/nodes', '/v1/events', of]) seen.push((await ask('GET', path)).text)
    expect(seen.filter((text) => text.includes(secret))).toEqual([])
  })

  test('a controller of a group is for each of its nodes, with the login of the group', async () => {
    await ask('PUT', '/v1/groups/rack', { power: `ipmi://127.0.0.1:${port}/{mac}?cipher=3` })
    await ask('PUT', '/v1/groups/rack/power-login', { login: `admin:${secret}\n` })
    const mac = '52:54:00:bb:01:01'
    await ask('PUT', `/v1/nodes/${mac}`, { groups: ['rack'] })
    expect(await status(`/v1/nodes/${mac}`)).toMatchObject({ power: 'on' })
  })
})

describe('Redfish, at a service of the test', () => {
  let service: Server
  let origin: string
  let fingerprint: string
  let power = 'Off'
  const asked: string[] = []

  beforeAll(async () => {
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(directory, name))
    const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    execFileSync('openssl', [...words, '-subj', '/CN=bmc', '-keyout', key!, '-out', cert!], { stdio: 'ignore' })
    const certificate = await readFile(cert!)
    fingerprint = new X509Certificate(certificate).fingerprint256
    service = createServer({ key: await readFile(key!), cert: certificate }, async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const system = '/redfish/v1/Systems/1'
      const login = Buffer.from(`root:${secret}`).toString('base64')
      if (request.headers.authorization !== `Basic ${login}`) return response.writeHead(401).end()
      if (request.url === '/redfish/v1/Systems')
        return response.end(JSON.stringify({ Members: [{ '@odata.id': system }] }))
      if (request.method === 'POST') {
        const { ResetType } = JSON.parse(body) as { ResetType: string }
        asked.push(`${request.url} ${ResetType}`)
        power = ResetType === 'ForceOff' ? 'Off' : 'On'
        return response.writeHead(204).end()
      }
      const reset = {
        target: `${system}/Actions/ComputerSystem.Reset`,
        'ResetType@Redfish.AllowableValues': ['On', 'ForceOff', 'ForceRestart'],
      }
      response.end(JSON.stringify({ PowerState: power, Actions: { '#ComputerSystem.Reset': reset } }))
    })
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
    origin = `127.0.0.1:${(service.address() as AddressInfo).port}`
  })
  afterAll(() => service.close())

  test('switches the one system that it has, by the kinds of reset that it takes', async () => {
    const of = await node(`redfish://${origin}?fingerprint=${fingerprint}`, `root:${secret}`)
    expect(await status(of)).toMatchObject({ power: 'off' })
    for (const action of ['cycle', 'cycle', 'off']) expect((await act(of, action)).status).toBe(200)
    expect(asked.map((line) => line.split(' ')[1])).toEqual(['On', 'ForceRestart', 'ForceOff'])
    expect(await status(of)).toMatchObject({ power: 'off' })
  })

  test('a certificate that is not the one named gets no login', async () => {
    const of = await node(
      `redfish://${origin}?fingerprint=${fingerprint.replaceAll(/[0-9A-F]/g, '0')}`,
      `root:${secret}`,
    )
    const { status: code, text } = await ask('GET', `${of}/power`)
    expect(code).toBe(502)
    expect(text).toContain('fingerprint')
    expect(text).not.toContain(secret)
    expect((await ask('GET', `${await node(`redfish://${origin}`, `root:${secret}`)}/power`)).status).toBe(502)
  })

  test('a wrong login is told without it', async () => {
    const of = await node(`redfish://${origin}?fingerprint=${fingerprint}`, `root:${secret}-wrong`)
    const { text } = await ask('GET', `${of}/power`)
    expect(text).toContain('status 401')
    expect(text).not.toContain(secret)
  })
})

test('QEMU: a machine that stands still is off', async () => {
  const socket = join(directory, 'qmp')
  const words = ['-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`]
  const machine = spawn('qemu-system-x86_64', words, { stdio: 'ignore' })
  try {
    const of = await node(`qmp://${socket}`)
    await expect.poll(() => status(of)).toMatchObject({ power: 'on' })
    for (const [action, power] of [
      ['off', 'off'],
      ['on', 'on'],
      ['off', 'off'],
      ['cycle', 'on'],
    ] as const) {
      expect((await act(of, action)).status).toBe(200)
      expect(await status(of)).toMatchObject({ power })
    }
  } finally {
    machine.kill('SIGKILL')
  }
})

test('a controller with its login in the URL, and one of no known kind, are refused without being shown', async () => {
  for (const power of [`ipmi://admin:${secret}@bmc`, `http://${secret}`, secret]) {
    const refused = await ask('PUT', '/v1/nodes/52:54:00:bb:00:77', { power })
    expect(refused.status).toBe(400)
    expect(refused.text).not.toContain(secret)
  }
  const unset = await ask('GET', '/v1/nodes/52:54:00:bb:00:77/power')
  expect(unset).toMatchObject({ status: 409, body: { error: { code: 'POWER_UNSET' } } })
})
