import type { Command } from 'commander'
import { exampleOf } from '../command.ts'
import { buildProgram } from '../program.ts'
import { markdownTable } from './schema.ts'

/** Every command that does something, in the order of the help; nouns are passed through. */
export function* commandsOf(parent: Command): Generator<Command> {
  for (const command of parent.commands) {
    if (command.commands.length > 0) yield* commandsOf(command)
    else yield command
  }
}

/** `bootloom node set` */
export function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name()
}

/** docs/reference/cli.md */
export function commandsReference(): string {
  const program = buildProgram()
  const sections = [...commandsOf(program)].map((command) => {
    const options = command.options.map(optionCells)
    return [
      `## ${fullName(command)}`,
      command.description(),
      `\`\`\`\n${fullName(command)} ${command.usage()}\n\`\`\``,
      ...(options.length === 0 ? [] : [markdownTable(['option', 'meaning'], options)]),
      `Example: \`${exampleOf(command)}\``,
    ].join('\n\n')
  })
  return `# Command line

In the checkout, \`npx bootloom …\`. Commands speak to the server that works on the same state directory; when none runs,
they do the same work themselves. Exit status 0: done; 1: it failed; 2: it was asked wrongly; 130: ended by Ctrl-C.

These options go with every command:

${markdownTable(['option', 'meaning'], program.options.map(optionCells))}

${sections.join('\n\n')}
`
}

function optionCells(option: Command['options'][number]): string[] {
  const choices = option.argChoices ? ` (${option.argChoices.join(', ')})` : ''
  const fallback = option.defaultValue === undefined ? '' : `; default ${String(option.defaultValue)}`
  return [`\`${option.flags}\``, `${option.description}${choices}${fallback}`]
}
