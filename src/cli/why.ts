import type { Command } from 'commander'
import type { Why } from '../blueprint/why.ts'
import type { WhyNot } from '../blueprint/why-not.ts'
import { withApi } from './api.ts'
import { blueprintPath } from './apply.ts'
import { addCommand } from './command.ts'
import { bytesText, printResult } from './output.ts'

/** `blueprint why` and `blueprint why-not`. */
export function addWhy(blueprint: Command): void {
  addCommand(blueprint, {
    words: 'why <name> <path>',
    description: 'Say why a path is in the bundle: what led to it, back to the process that was watched or the rule.',
    example: 'bootloom blueprint why apache /etc/mime.types',
  }).action(async (name: string, path: string, _options: unknown, command: Command) => {
    const why = await withApi(command, (api) => api.get<Why>(asked(name, 'why', path)))
    await printResult(command, why, whyText)
  })

  addCommand(blueprint, {
    words: 'why-not <name> <path>',
    description: 'Say what is known of a path that is not in the bundle: whose it is, who needs it, which rule has it.',
    example: 'bootloom blueprint why-not apache /usr/lib/apache2/modules/mod_ldap.so',
  }).action(async (name: string, path: string, _options: unknown, command: Command) => {
    const whyNot = await withApi(command, (api) => api.get<WhyNot>(asked(name, 'why-not', path)))
    await printResult(command, whyNot, whyNotText)
  })
}

const asked = (name: string, question: string, path: string): string =>
  `${blueprintPath(name)}/${question}?path=${encodeURIComponent(path)}`

async function whyText({ path, component, version, type, size, chain, touched }: Why): Promise<string> {
  const bytes = await bytesText()
  // What was touched is told by the line at the end.
  const steps = chain.filter(({ kind }) => touched === undefined || kind !== 'observed').map(stepText)
  if (touched) {
    const { how, first, methods } = touched
    const by = first ? `, first by ${first.process} in ${first.call}` : ''
    steps.push(`${touched.path} was touched in the watched run (${methods.join(' ∪ ')}): ${how.join(', ')}${by}`)
  }
  const lines = steps.map((step, index) => `${'  '.repeat(index + 1)}${step}`)
  return [`${path}: ${type} of ${component} ${version}, ${bytes(size)}`, ...lines].join('\n')
}

function stepText({ kind, by, why, path }: Why['chain'][number]): string {
  if (kind === 'rule') return `rule ${by} adds ${path}: ${why ?? 'it is no longer there'}`
  if (kind === 'observed') return `${path} was touched in the watched run`
  if (kind === 'tree') return `the tree at ${by} is kept whole`
  if (kind === 'file') return `the blueprint adds it (${by})`
  if (kind === 'widened') return `the bundle was found to lack ${path}: ${by}`
  return kind === 'closure' ? by : `the blueprint asks for ${path}: ${by}`
}

async function whyNotText(found: WhyNot): Promise<string> {
  const { path, component, nearest, lookedFor, touched, droppedBy, rules, exceptedBy, neededBy } = found
  const bytes = await bytesText()
  const lines: string[] = []
  if (component) {
    const { type, name, version, size } = component
    lines.push(`${path}: ${type} of ${name} ${version}, ${bytes(size)}, left out`)
  } else {
    lines.push(`${path}: no component of the stack has it${nearest ? `; there is ${nearest}` : ''}`)
  }
  if (lookedFor) lines.push(`  looked for in the watched run, first by ${lookedFor.process} in ${lookedFor.call}`)
  if (touched) {
    const by = touched.process ? `, first by ${touched.process} in ${touched.call}` : ''
    lines.push(`  touched in the watched run: ${touched.how.join(', ')}${by}`)
  } else if (component) lines.push('  not touched in the watched run')
  if (droppedBy !== undefined) lines.push(`  the blueprint drops it: ${droppedBy}`)
  for (const { name, why, when } of rules) {
    lines.push(`  rule ${name} would add it (${why})`, `    if one of these were selected: ${when.join(' ')}`)
  }
  for (const name of exceptedBy) lines.push(`  rule ${name} leaves it out by name: bootloom rule explain ${name}`)
  for (const { by } of neededBy) lines.push(`  ${by}, which is left out too`)
  if (component && droppedBy === undefined) lines.push(`  to have it: keep: [${JSON.stringify(path)}]`)
  return lines.join('\n')
}
