import { BootloomError } from '../config/errors.ts'

/**
 * A text as one word of a POSIX shell, whatever it holds: within single quotes nothing but the quote itself is special
 * (POSIX.1-2017, shell 2.2.2). A NUL can stand in no argument at all: VALUE_UNFIT.
 */
export function shellWord(text: string): string {
  if (text.includes('\0')) {
    throw new BootloomError('VALUE_UNFIT', `'${text.replaceAll('\0', '␀').slice(0, 60)}' holds a NUL character`)
  }
  return `'${text.replaceAll("'", "'\\''")}'`
}

export const shellWords = (words: readonly string[]): string => words.map(shellWord).join(' ')
