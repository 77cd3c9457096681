import { BootloomError } from '../config/errors.ts'

/**
 * Puts values in the place of `{{name}}`. Each name must have a value and each value a place. SCRIPT_VALUE_UNSAFE for a
 * value that iPXE would not take as text: it has no quoting, so what would be expanded (`${`), end the line, or end the
 * command (`||`, `&&`, `;`, a word that begins with `#`) is refused, not escaped.
 */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  const unused = new Set(Object.keys(values))
  const filled = template.replace(/\{\{([a-zA-Z]+)\}\}/g, (_place, name: string) => {
    const value = values[name]
    if (value === undefined) throw new BootloomError('INTERNAL', `a script has no value for {{${name}}}`)
    unused.delete(name)
    return checkScriptText(name, value)
  })
  if (unused.size > 0) throw new BootloomError('INTERNAL', `a script has no place for ${[...unused].join(', ')}`)
  return filled
}

function checkScriptText(name: string, value: string): string {
  const word = value.split(' ').find((part) => /^(\|\||&&|;|#.*|.*\\)$/.test(part))
  const problem = !/^[\x20-\x7e]*$/.test(value)
    ? 'a character that is no printable ASCII'
    : value.includes('${')
      ? '${'
      : word === undefined
        ? undefined
        : `the word ${word}`
  if (problem === undefined) return value
  throw new BootloomError('SCRIPT_VALUE_UNSAFE', `the value of ${name} holds ${problem}`, { where: name })
}

/** Text of any origin, such as an error's, made harmless for `echo`. */
export function screenText(text: string): string {
  return text
    .replaceAll(';', ',')
    .replace(/[^A-Za-z0-9 .,:=()/_'@+-]/g, '?')
    .replace(/ {2,}/g, ' ')
    .slice(0, 200)
}
