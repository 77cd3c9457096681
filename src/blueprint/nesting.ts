import { Lexer } from 'yaml'

const maximumDepth = 100

/**
 * True when brackets or dashes nest deeper than any blueprint's do. Looked at before parsing, which takes time that
 * grows with the square of the depth.
 */
export function nestsTooDeep(text: string): boolean {
  let flow = 0
  let dashes = 0
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') flow++
    else if (token === ']' || token === '}') flow--
    if (token === '-' || token === '?' || token === ':') dashes++
    else if (!/^ *$/.test(token)) dashes = 0
    if (flow > maximumDepth || dashes > maximumDepth) return true
  }
  return false
}
