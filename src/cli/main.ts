import { CommanderError } from 'commander'
import { asBootloomError, BootloomError } from '../config/errors.ts'
import { printError } from './output.ts'
import { buildProgram } from './program.ts'

/**
 * Runs one command line and returns its exit status: 0 when it was done, 1 when it failed, 2 when it was asked wrongly,
 * 130 when Ctrl-C ended it.
 */
export async function main(words: readonly string[]): Promise<number> {
  // `bootloom … | head` ends the pipe early, which is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  try {
    await buildProgram().parseAsync(words, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError && isHelp(error)) return error.code === 'commander.help' ? 2 : 0
    if (error instanceof Error && error.name === 'AbortError') return 130
    const known = error instanceof CommanderError ? usageError(error) : asBootloomError(error)
    printError(known, words.includes('--json'))
    if (known.code === 'INTERNAL' && process.env.BOOTLOOM_LOG_LEVEL === 'debug') console.error(error)
    return known.exit
  }
}

/** `commander.help`: a noun without its verb; its help has been printed. */
const isHelp = (error: CommanderError): boolean =>
  ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(error.code)

/** Commander's own words, as `error: unknown command 'lst'\n(Did you mean list?)`. */
function usageError(error: CommanderError): BootloomError {
  const [message = '', ...details] = error.message.replace(/^error: /, '').split('\n')
  return new BootloomError('USAGE', message, { details })
}
