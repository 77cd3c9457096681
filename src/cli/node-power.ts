import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { BootloomError } from '../config/errors.ts'
import { type Api, withApi } from './api.ts'
import { addCommand } from './command.ts'
import { printResult } from './output.ts'

const actions = ['on', 'off', 'cycle', 'status'] as const

/** Sends a file that holds `USER:PASSWORD` as the login of a power controller, by the path of its record in the API. */
export async function sendPowerLogin(api: Api, record: string, file: string): Promise<void> {
  let login: string
  try {
    login = await readFile(file, 'utf8')
  } catch (cause) {
    throw new BootloomError('USAGE', 'the file of the login cannot be read', { where: file, cause })
  }
  await api.send('PUT', `${record}/power-login`, { login })
}

/** Commands of `node` that switch a node, or have it boot anew. */
export function addNodePower(node: Command): void {
  const path = (mac: string, what: string): string => `/v1/nodes/${encodeURIComponent(mac)}/${what}`

  addCommand(node, {
    words: 'power <mac> <action>',
    description: 'Switch a node by its power controller: on, off, cycle; or ask for its status.',
    example: 'bootloom node power 52:54:00:aa:00:01 cycle',
  }).action(async (mac: string, action: string, _options: unknown, command: Command) => {
    if (!actions.some((one) => one === action)) {
      throw new BootloomError('USAGE', `"${action}" is none of ${actions.join(', ')}`)
    }
    if (action === 'status') {
      const found = await withApi(command, (api) => api.get<{ power: string }>(path(mac, 'power')))
      await printResult(command, found, ({ power }) => `${mac} is ${power}`)
      return
    }
    const done = await withApi(command, (api) => api.send<unknown>('POST', path(mac, 'power'), { action }))
    const words = { on: 'is switched on', off: 'is switched off', cycle: 'is switched off and on' }
    await printResult(command, done, () => `${mac} ${words[action as keyof typeof words]}`)
  })

  addCommand(node, {
    words: 'reboot <mac>',
    description:
      'Boot a running node anew, its application ended in good order; by its power controller where it does not answer.',
    example: 'bootloom node reboot 52:54:00:aa:00:01',
  })
    .option('--full', 'through its firmware, though it could jump into its next bundle')
    .action(async (mac: string, options: { full?: true }, command: Command) => {
      const body = { full: options.full === true }
      const done = await withApi(command, (api) => api.send<{ by: string }>('POST', path(mac, 'reboot'), body))
      await printResult(command, done, ({ by }) =>
        by === 'power' ? `${mac} does not answer and is power-cycled` : `${mac} boots anew once it asks for orders`,
      )
    })
}
