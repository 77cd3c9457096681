/**
 * Globs over absolute paths: `*` and `?` stay within a name (a leading dot is nothing special), `[abc]` is one letter,
 * `{a,b}` an alternative, `**` any depth. `/srv/data/**` is the directory and all below it.
 */
export interface Glob {
  readonly text: string
  /** The one path that it can match, when it has no wildcards. */
  readonly literal: string | undefined
  /** What every path that it matches begins with. */
  readonly prefix: string
  matches(path: string): boolean
}

export function parseGlob(text: string): Glob {
  const wild = text.search(/[*?[{]/)
  if (wild < 0) return { text, literal: text, prefix: text, matches: (path) => path === text }
  const prefix = text.slice(0, wild).replace(/\/$/, '')
  const pattern = toPattern(text)
  return { text, literal: undefined, prefix, matches: (path) => path.startsWith(prefix) && pattern.test(path) }
}

/** The glob that matches a text itself, whatever stands in it. */
export const literally = (text: string): string => text.replace(/[*?[{}]/g, '[$&]')

function toPattern(glob: string): RegExp {
  let source = ''
  let braces = 0
  for (let at = 0; at < glob.length; at++) {
    const letter = glob[at]!
    const end = letter === '[' ? glob.indexOf(']', at + 2) : -1
    if (glob.startsWith('/**', at) && at + 3 === glob.length) {
      source += '(?:/.*)?'
      at += 2
    } else if (glob.startsWith('/**/', at)) {
      source += '/(?:.*/)?'
      at += 3
    } else if (letter === '*') source += '[^/]*'
    else if (letter === '?') source += '[^/]'
    else if (end > 0) {
      source += letterClass(glob.slice(at + 1, end))
      at = end
    } else if (letter === '{') {
      source += '(?:'
      braces++
    } else if (letter === '}' && braces > 0) {
      source += ')'
      braces--
    } else if (letter === ',' && braces > 0) source += '|'
    else source += letter.replace(/[\\^$.|+()[\]{}/-]/, '\\$&')
  }
  return new RegExp(`^${source}${')'.repeat(braces)}$`, 's')
}

function letterClass(letters: string): string {
  const negated = /^[!^]/.test(letters)
  const plain = (negated ? letters.slice(1) : letters).replace(/[\\\]^[]/g, '\\$&').replaceAll('/', '')
  return `[${negated ? '^/' : ''}${plain}]`
}
