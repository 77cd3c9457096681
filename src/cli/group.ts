import type { Command } from 'commander'
import type { Group } from '../state/groups.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { optionsFrom } from './dhcp-options.ts'
import { sendPowerLogin } from './node-power.ts'
import { printResult, remark, table } from './output.ts'
import { assignmentText } from './timeline.ts'
import { sendUserData } from './user-data.ts'

interface SetOptions {
  readonly blueprint?: string
  readonly channel?: string
  readonly bundle?: string
  readonly userData?: string
  readonly option?: readonly string[] | false
  readonly power?: string
  readonly powerLogin?: string
}

const groupPath = (name: string): string => `/v1/groups/${encodeURIComponent(name)}`

export function addGroup(program: Command): void {
  const group = addNoun(program, 'group', 'Groups of nodes that boot the same.')

  addCommand(group, {
    words: 'set <name>',
    description:
      'Say what the nodes of a group boot, unless they have an assignment of their own, and what DHCP tells them.',
    example: 'bootloom group set web --blueprint apache',
  })
    .option('--blueprint <name>', 'the blueprint that they boot')
    .option('--channel <channel>', 'the channel of the blueprint: stable or candidate')
    .option('--bundle <digest>', 'one bundle instead of a channel')
    .option(
      '--user-data <file>',
      'what cloud-init, Ignition and the like get on its nodes; an empty file takes it away',
    )
    .option('--option <name=value...>', 'DHCP options of its nodes, in place of those that it had')
    .option('--no-option', 'no DHCP options for its nodes any more')
    .option(
      '--power <url>',
      'their power controllers: a URL in which {mac} and {hostname} stand for the node’s; an empty one takes it away',
    )
    .option('--power-login <file>', 'a file with the login of it, as USER:PASSWORD; an empty file takes it away')
    .action(async (name: string, { option, userData, powerLogin, ...rest }: SetOptions, command: Command) => {
      const given = option === undefined ? {} : { options: optionsFrom(option || []) }
      const body = { ...rest, ...given }
      const result = await withApi(command, async (api) => {
        const record = await api.send<unknown>('PUT', groupPath(name), body)
        if (userData !== undefined) await sendUserData(api, groupPath(name), userData)
        if (powerLogin !== undefined) await sendPowerLogin(api, groupPath(name), powerLogin)
        return record
      })
      const done = rest.blueprint ? `nodes of ${name} boot ${rest.blueprint}` : `${name} is set`
      await printResult(command, result ?? body, () => done)
    })

  addCommand(group, { words: 'list', description: 'List the groups.', example: 'bootloom group list' }).action(
    async (_options: unknown, command: Command) => {
      const groups = await withApi(command, (api) => api.get<readonly Group[]>('/v1/groups'))
      if (groups.length === 0) remark(command, 'No group yet: `bootloom group set NAME --blueprint NAME` makes one.')
      await printResult(command, groups, (rows) =>
        table(
          ['group', 'boots'],
          rows.map(({ name, assignment }) => [name, assignmentText(assignment)]),
        ),
      )
    },
  )

  addCommand(group, {
    words: 'unset <name>',
    description: 'Take the assignment of a group away.',
    example: 'bootloom group unset web',
  }).action(async (name: string, _options: unknown, command: Command) => {
    await withApi(command, (api) => api.send('DELETE', groupPath(name)))
    await printResult(command, { name, forgotten: true }, () => `the group ${name} is forgotten`)
  })
}
