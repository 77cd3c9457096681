import { unitInvalid } from './unit-file.ts'

/** More than any command line has. */
const maximumWords = 4096

/**
 * Splits a value into words as systemd does (systemd.syntax(7), "Quoting"): both kinds of quotes anywhere, C escapes. In
 * a command line a lone `;` ends one command and begins the next.
 */
export function wordsOf(value: string, where: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < value.length; at++) {
    const letter = value[at]!
    if (letter === '\\') {
      const { text, next } = unescapedAt(value, at)
      word = (word ?? '') + text
      at = next - 1
    } else if (quote !== '') {
      if (letter === quote) quote = ''
      else word += letter
    } else if (letter === '"' || letter === "'") {
      quote = letter
      word ??= ''
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + letter
  }
  if (quote !== '') throw unitInvalid(where, `a quote is not closed: ${value.slice(0, 80)}`)
  if (word !== undefined) words.push(word)
  if (words.length > maximumWords) throw unitInvalid(where, 'the value has more than 4096 words')
  return words
}

const letters: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', s: ' ' },
  ...{ '\\': '\\', '"': '"', "'": "'" },
}

/** An escape that is none stays as it is, as with systemd's EXTRACT_CUNESCAPE_RELAX. */
function unescapedAt(value: string, at: number): { text: string; next: number } {
  const pattern = /\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/sy
  pattern.lastIndex = at
  const found = pattern.exec(value)
  if (!found) return { text: '\\', next: at + 1 }
  const [all, hex, octal, short, long, letter] = found
  const next = at + all.length
  const code = hex ?? short ?? long
  const point = code === undefined ? (octal === undefined ? undefined : Number.parseInt(octal, 8)) : Number(`0x${code}`)
  if (point !== undefined) return { text: point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : '', next }
  return { text: letters[letter!] ?? all, next }
}

/** The names that a unit's specifiers stand for. */
export interface UnitName {
  /** With the suffix: `postgresql@15-main.service`. */
  readonly full: string
  /** Before the `@`: `postgresql`. */
  readonly prefix: string
  /** Between `@` and `.service`; empty for what is no instance. */
  readonly instance: string
}

/** Fills the specifiers in (systemd.unit(5), "Specifiers"). What is only known on the node is refused: UNIT_INVALID. */
export function withSpecifiers(text: string, { full, prefix, instance }: UnitName, where: string): string {
  const known: Readonly<Record<string, string>> = {
    ...{ '%': '%', n: full, N: full.replace(/\.service$/, ''), p: prefix, P: unescapedName(prefix) },
    ...{ i: instance, I: unescapedName(instance), j: prefix.slice(prefix.lastIndexOf('-') + 1) },
    ...{ f: `/${unescapedName(instance === '' ? prefix : instance).replace(/^\/+/, '')}` },
    ...{ t: '/run', S: '/var/lib', C: '/var/cache', L: '/var/log', E: '/etc', T: '/tmp', V: '/var/tmp' },
    ...{ h: '/root', u: 'root', U: '0', g: 'root', G: '0', s: '/bin/sh', a: 'x86-64' },
  }
  return text.replace(/%(.?)/gs, (all, letter: string) => {
    const value = known[letter]
    if (value === undefined) throw unitInvalid(where, `the specifier ${all} has no value before a node runs the unit`)
    return value
  })
}

/** As systemd-escape(1) escapes a path: `-` is a slash, `\x2d` a letter. */
const unescapedName = (name: string): string =>
  name.replaceAll('-', '/').replace(/\\x([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number(`0x${hex}`)))

/**
 * Fills variables into the words of a command line (systemd.service(5), "Command lines"): `${NAME}` anywhere gives its
 * value, `$NAME` as a word of its own is split into words, `$$` is a dollar. `$MAINPID` stays: it is known when it runs.
 */
export function withVariables(words: readonly string[], environment: Readonly<Record<string, string>>): string[] {
  const [program, ...rest] = words
  const filled = rest.flatMap((word) => {
    const whole = /^\$([A-Za-z_][A-Za-z0-9_]*)$/.exec(word)?.[1]
    if (whole === 'MAINPID') return [word]
    if (whole !== undefined) return (environment[whole] ?? '').split(/\s+/).filter(Boolean).map(withoutQuotes)
    return [
      word.replace(/\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_all, name: string | undefined) => {
        if (name === undefined) return '$'
        return name === 'MAINPID' ? '$MAINPID' : (environment[name] ?? '')
      }),
    ]
  })
  return [program!, ...filled].slice(0, maximumWords)
}

const withoutQuotes = (word: string): string => word.replace(/^(["'])(.*)\1$/s, '$2')

/** Reads what EnvironmentFile= names (systemd.exec(5)): assignments as in a shell, but nothing is filled in. */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const line of text
    .slice(0, 1024 * 1024)
    .replace(/\\\r?\n/g, '')
    .split(/\r?\n/)) {
    const [, name, raw] = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? []
    if (name === undefined || /^\s*[#;]/.test(line)) continue
    found[name] = shellValue(raw!.trim())
  }
  return found
}

/** Quoted parts and bare ones, one after the other. */
function shellValue(raw: string): string {
  const parts = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)|(["'\\])/gs
  return [...raw.matchAll(parts)]
    .map(([, single, double, escaped, bare, stray]) => {
      if (double !== undefined) return double.replace(/\\(["\\$`])/g, '$1')
      return single ?? escaped ?? bare ?? stray ?? ''
    })
    .join('')
}
