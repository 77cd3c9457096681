import type { Command } from 'commander'
import type { Group } from '../state/groups.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult, remark, table } from './output.ts'
import { assignmentText } from './timeline.ts'

interface SetOptions {
  readonly blueprint: string
  readonly channel?: string
  readonly bundle?: string
}

const groupPath = (name: string): string => `/v1/groups/${encodeURIComponent(name)}`

export function addGroup(program: Command): void {
  const group = addNoun(program, 'group', 'Groups of nodes that boot the same.')

  addCommand(group, {
    words: 'set <name>',
    description: 'Say what the nodes of a group boot, unless they have an assignment of their own.',
    example: 'bootloom group set web --blueprint apache',
  })
    .requiredOption('--blueprint <name>', 'the blueprint that they boot')
    .option('--channel <channel>', 'the channel of the blueprint: stable or candidate')
    .option('--bundle <digest>', 'one bundle instead of a channel')
    .action(async (name: string, options: SetOptions, command: Command) => {
      const result = await withApi(command, (api) => api.send<unknown>('PUT', groupPath(name), options))
      await printResult(command, result ?? options, () => `nodes of ${name} boot ${options.blueprint}`)
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
