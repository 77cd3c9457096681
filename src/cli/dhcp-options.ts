import { parse } from 'yaml'
import { BootloomError } from '../config/errors.ts'

/** `--option interfaceMtu=9000 'ntpServers=[10.0.0.1]'` as named options; the values are YAML. USAGE for other forms. */
export function optionsFrom(words: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=')
      if (at < 1) throw new BootloomError('USAGE', `--option ${word}: must be NAME=VALUE`)
      const text = word.slice(at + 1)
      try {
        // Hexadecimal digits of an option by number are text, whatever they look like.
        return [word.slice(0, at), /^\d+$/.test(word.slice(0, at)) ? text : parse(text)]
      } catch {
        return [word.slice(0, at), text]
      }
    }),
  )
}
