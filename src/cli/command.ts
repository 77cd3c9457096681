import type { Command } from 'commander'

/** Options that every command takes, before or after its own words. */
export interface GlobalOptions {
  readonly json?: true
  readonly state?: string
  readonly config?: string
}

const examples = new WeakMap<Command, string>()

interface Definition {
  /** Name and arguments, as `set <mac>`. */
  readonly words: string
  readonly description: string
  /** A whole command line that works; shown by --help and in the reference. */
  readonly example: string
}

/** Adds a command below another. A command without an example cannot be made. */
export function addCommand(parent: Command, { words, description, example }: Definition): Command {
  const command = parent.command(words).description(description)
  command.addHelpText('after', `\nExample:\n  $ ${example}`)
  examples.set(command, example)
  return command
}

/** A noun whose verbs are commands. */
export const addNoun = (parent: Command, name: string, description: string): Command =>
  parent.command(name).description(description)

export const exampleOf = (command: Command): string | undefined => examples.get(command)

export const globalsOf = (command: Command): GlobalOptions => command.optsWithGlobals<GlobalOptions>()
