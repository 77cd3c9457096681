import type { Command } from 'commander'
import type { FiredRule } from '../blueprint/fired.ts'
import type { Rule } from '../blueprint/rules.ts'
import { BootloomError } from '../config/errors.ts'
import { nearest } from '../config/nearest.ts'
import { withApi } from './api.ts'
import { blueprintPath } from './apply.ts'
import { addCommand, addNoun } from './command.ts'
import { bytesText, printResult, table } from './output.ts'

/** A rule as it is shown: globs and patterns as they are written. */
interface ShownRule {
  readonly name: string
  readonly family: string
  readonly why: string
  readonly when?: readonly string[]
  readonly add: readonly string[]
  readonly namedBy: readonly { files: readonly string[]; pattern: string; add: readonly string[] }[]
  readonly beside: readonly { path: string; add: readonly string[] }[]
  readonly except: readonly string[]
}

export function addRule(program: Command): void {
  const rule = addNoun(program, 'rule', 'What applications need that watching them does not show.')

  addCommand(rule, {
    words: 'list',
    description: 'List the rules; with --blueprint, what each did to its bundle.',
    example: 'bootloom rule list --blueprint apache',
  })
    .option('--blueprint <name>', 'which applied, and what each added')
    .action(async ({ blueprint }: { blueprint?: string }, command: Command) => {
      if (blueprint !== undefined) {
        const fired = await firedIn(command, blueprint)
        return printResult(command, fired, firedTable)
      }
      const rules = (await loaded()).map(shown)
      await printResult(command, rules, (rows) =>
        table(
          ['rule', 'family', 'why'],
          rows.map(({ name, family, why }) => [name, family, why]),
        ),
      )
    })

  addCommand(rule, {
    words: 'explain <name>',
    description: 'Show one rule: when it applies, what it adds and why; with --blueprint, what it added there.',
    example: 'bootloom rule explain certificates --blueprint redis',
  })
    .option('--blueprint <name>', 'what it did to the bundle of this blueprint')
    .action(async (name: string, { blueprint }: { blueprint?: string }, command: Command) => {
      const rules = (await loaded()).map(shown)
      const found = rules.find((one) => one.name === name)
      if (!found) throw unknownRule(name, rules)
      const fired =
        blueprint === undefined ? undefined : (await firedIn(command, blueprint)).find((one) => one.name === name)
      const value = fired === undefined ? found : { ...found, in: fired }
      await printResult(command, value, () => explained(found, fired))
    })
}

async function loaded(): Promise<readonly Rule[]> {
  const { loadRules } = await import('../blueprint/rules.ts')
  return loadRules()
}

const firedIn = (command: Command, blueprint: string): Promise<readonly FiredRule[]> =>
  withApi(command, (api) => api.get<readonly FiredRule[]>(`${blueprintPath(blueprint)}/rules`))

function shown({ name, family, why, when, add, namedBy, beside, except }: Rule): ShownRule {
  return {
    name,
    family,
    why,
    ...(when === undefined ? {} : { when: when.map(({ text }) => text) }),
    add: add.map(({ text }) => text),
    namedBy: namedBy.map(({ files, pattern, add }) => ({
      files: files.map(({ text }) => text),
      pattern: pattern.source,
      add,
    })),
    beside: beside.map(({ pattern, add }) => ({ path: pattern.source, add })),
    except: except.map(({ text }) => text),
  }
}

function unknownRule(name: string, rules: readonly ShownRule[]): BootloomError {
  const names = rules.map((one) => one.name)
  const close = nearest(name, names)
  return new BootloomError('USAGE', `there is no rule ${name}`, {
    hint: `${close === undefined ? '' : `Did you mean ${close}? `}\`bootloom rule list\` lists them.`,
  })
}

/** Those that added something first, the largest first; then those that applied and found nothing new. */
async function firedTable(rules: readonly FiredRule[]): Promise<string> {
  const size = await bytesText()
  const fired = rules.filter((rule) => rule.fired).sort((a, b) => total(b) - total(a))
  const rows = fired.map(({ name, family, met, added, followed }) => [
    name,
    family,
    added.files,
    size(added.bytes),
    followed.files === 0 ? '' : `${size(followed.bytes)} in ${followed.files}`,
    met ?? 'always',
  ])
  const grid = await table(['rule', 'family', '>files', '>size', '>and what they need', 'because of'], rows)
  const files = fired.reduce((sum, { added, followed }) => sum + added.files + followed.files, 0)
  const bytes = fired.reduce((sum, rule) => sum + total(rule), 0)
  return `${grid}\n${fired.length} of ${rules.length} rules apply and add ${files} files, ${size(bytes)} before compression`
}

const total = ({ added, followed }: FiredRule): number => added.bytes + followed.bytes

async function explained(rule: ShownRule, fired: FiredRule | undefined): Promise<string> {
  const list = (heading: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [heading, ...lines.map((line) => `  ${line}`)]
  const lines = [
    `${rule.name} (${rule.family}): ${rule.why}`,
    ...list('when one of these is selected', rule.when ?? []),
    ...list('adds', rule.add),
    ...rule.namedBy.flatMap(({ files, pattern, add }) =>
      list(`adds what ${files.join(', ')} name`, [...add, `$1 being what /${pattern}/ finds`]),
    ),
    ...rule.beside.flatMap(({ path, add }) => list(`adds beside ${path}`, add)),
    ...list('but not', rule.except),
  ]
  if (!fired) return lines.join('\n')
  if (!fired.fired) return [...lines, 'it does not apply there'].join('\n')
  const size = await bytesText()
  const { added, followed, met, paths } = fired
  const more = followed.files === 0 ? '' : `, which need ${followed.files} more of ${size(followed.bytes)}`
  const because = met === undefined ? '' : ` because of ${met}`
  return [...lines, ...list(`there it adds ${added.files} files of ${size(added.bytes)}${more}${because}`, paths)].join(
    '\n',
  )
}
