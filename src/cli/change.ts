import type { Command } from 'commander'
import colors from 'picocolors'
import type { Undone } from '../change/pipeline/decide.ts'
import type { Change } from '../state/changes.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { renderChange, stateText } from './change-text.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult, remark, table, timeText } from './output.ts'

const changePath = (id: string, verb = ''): string => `/v1/changes/${encodeURIComponent(id)}${verb}`

const causes: Readonly<Record<Change['cause'], string>> = {
  sources: 'the sources offer it',
  asked: 'asked for',
  tree: 'a tree was edited',
  composed: 'composed',
}

interface Decision {
  readonly blueprint?: string
  readonly reason?: string
}

export function addChange(program: Command): void {
  const change = addNoun(
    program,
    'change',
    'What came of newer packages, edited trees and gated bundles: woven, replayed, verified, promoted or held.',
  )

  addCommand(change, {
    words: 'list',
    description: 'List the changes, newest first, and how far each has come with its blueprints.',
    example: 'bootloom change list',
  })
    .option('--count <count>', 'how many', '20')
    .action(async ({ count }: { count: string }, command: Command) => {
      const path = `/v1/changes?count=${encodeURIComponent(count)}`
      const changes = await withApi(command, (api) => api.get<readonly Change[]>(path))
      if (changes.length === 0) remark(command, 'No change yet: `bootloom change detect` asks the sources.')
      await printResult(command, changes, (all) => table(['id', 'at', 'why', 'blueprints', 'brings'], all.map(cells)))
    })

  addCommand(change, {
    words: 'show <id>',
    description: 'Show a change: what it brings, its way with each blueprint step by step, and what was measured.',
    example: 'bootloom change show 17',
  }).action(async (id: string, _options: unknown, command: Command) => {
    const shown = await withApi(command, (api) => api.get<Change>(changePath(id)))
    await printResult(command, shown, (value) => renderChange(value, causes[value.cause]))
  })

  addCommand(change, {
    words: 'detect',
    description: 'Ask the sources now, and open a change of what is new and matters to a bundle in use.',
    example: 'bootloom change detect --wait',
  })
    .option('--wait', 'until all of it is promoted, held or waits for its window')
    .action(async ({ wait = false }: { wait?: boolean }, command: Command) => {
      const changes = await withApi(command, (api) => api.job<readonly Change[]>('/v1/changes/detect', { wait }))
      if (changes.length === 0) remark(command, 'The sources offer nothing that was not looked at before.')
      await printResult(command, changes, async (all) =>
        (await Promise.all(all.map((one) => renderChange(one, causes[one.cause])))).join('\n\n'),
      )
    })

  decision(change, 'approve', 'Promote what waits for a person or for its window, at once.', 'approved')
  decision(change, 'retry', 'Take what was held up again from its beginning.', 'is taken up again')

  addCommand(change, {
    words: 'hold <id>',
    description: 'Stop what is under way where it stands: nothing of it is promoted.',
    example: 'bootloom change hold 17 --blueprint shop-frontend --reason TICKET-17',
  })
    .option('--blueprint <name>', 'of this blueprint alone')
    .option('--reason <text>', 'why')
    .action(async (id: string, options: Decision, command: Command) => {
      const held = await withApi(command, (api) => api.send<Change>('POST', changePath(id, '/hold'), options))
      await printResult(command, held, (value) => renderChange(value, causes[value.cause]))
    })

  addCommand(change, {
    words: 'rollback <id>',
    description: 'Bring every channel that a change moved back to where it stood, of all its blueprints, at once.',
    example: 'bootloom change rollback 17',
  }).action(async (id: string, _options: unknown, command: Command) => {
    const result = await withApi(command, (api) =>
      api.send<{ undone: readonly Undone[] }>('POST', changePath(id, '/rollback'), {}),
    )
    await printResult(command, result, ({ undone }) => undone.map(undoneText).join('\n'))
  })
}

function decision(change: Command, verb: 'approve' | 'retry', description: string, done: string): void {
  addCommand(change, { words: `${verb} <id>`, description, example: `bootloom change ${verb} 17` })
    .option('--blueprint <name>', 'of this blueprint alone')
    .action(async (id: string, options: Decision, command: Command) => {
      const decided = await withApi(command, (api) => api.send<Change>('POST', changePath(id, `/${verb}`), options))
      await printResult(command, decided, () => `change ${id} ${done}`)
    })
}

function cells({ id, at, cause, parts }: Change): string[] {
  const states = new Map<string, string[]>()
  for (const part of parts) states.set(stateText(part), [...(states.get(stateText(part)) ?? []), part.blueprint])
  const blueprints = [...states].map(([state, names]) => `${several(names)} ${state}`)
  const brings = new Set(parts.flatMap(({ updates }) => updates.map(({ name, kind, to }) => named(kind, name, to))))
  return [id, timeText(at), causes[cause], blueprints.join('; '), several([...brings])]
}

/** A tree's version is the digest of it. */
const named = (kind: string, name: string, to: string): string => (kind === 'tree' ? name : `${name} ${to}`)

const several = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

function undoneText({ blueprint, channel, to, outcome }: Undone): string {
  if (outcome === 'back') return `${channel} of ${blueprint} is ${shortDigest(to!)} again`
  const why = to === null ? 'pointed nowhere before' : 'has moved on since'
  return colors.yellow(`${channel} of ${blueprint} is left as it is: it ${why}`)
}
