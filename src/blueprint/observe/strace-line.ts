/** One system call as strace prints it: its name, its arguments as text, and what it returned. */
export interface Call {
  readonly name: string
  readonly args: readonly string[]
  readonly failed: boolean
  /** `ENOENT` and the like, where it failed with one. */
  readonly error: string | undefined
  /** The number returned, where it is one. */
  readonly result: number | undefined
}

/** Reads a line of `strace -ff -y`; undefined for what is no finished system call. */
export function parseCall(line: string): Call | undefined {
  const open = line.indexOf('(')
  if (open <= 0 || !/^[a-z0-9_]+$/.test(line.slice(0, open))) return undefined
  const { args, end } = splitArguments(line, open + 1)
  const [, result, error] = /^\s*=\s*(\S+)(?: (E[A-Z0-9]+)\b)?/.exec(line.slice(end)) ?? []
  if (result === undefined) return undefined
  const number = Number.parseInt(result, 10)
  return {
    name: line.slice(0, open),
    args,
    failed: result === '?' || result.startsWith('-1'),
    error,
    result: Number.isNaN(number) ? undefined : number,
  }
}

const opening = '([{'
const closing = ')]}'

function splitArguments(line: string, start: number): { args: string[]; end: number } {
  const args: string[] = []
  let depth = 0
  let from = start
  let at = start
  for (; at < line.length; at++) {
    const letter = line[at]!
    if (letter === '"') at = endOfString(line, at)
    // strace escapes < and > inside the path of a descriptor, so the next one ends it.
    else if (letter === '<' && /[0-9D]/.test(line[at - 1]!) && line[at + 1] !== '<') at = endOfPath(line, at)
    else if (opening.includes(letter)) depth++
    else if (closing.includes(letter) && depth-- === 0) break
    else if (letter === ',' && depth === 0) {
      args.push(line.slice(from, at).trim())
      from = at + 1
    }
  }
  args.push(line.slice(from, at).trim())
  return { args, end: at + 1 }
}

function endOfString(line: string, start: number): number {
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (line[at] === '"') return at
  }
  return line.length
}

function endOfPath(line: string, start: number): number {
  const end = line.indexOf('>', start)
  return end < 0 ? line.length : end
}

/** The text of a quoted argument, or undefined when the argument is none (or was too long to be printed whole). */
export function stringIn(arg: string | undefined): string | undefined {
  return arg?.startsWith('"') && arg.endsWith('"') && arg.length > 1 ? unescaped(arg.slice(1, -1)) : undefined
}

/** The path that `-y` prints with a descriptor: `3</etc/passwd>`, `AT_FDCWD</var>`. */
export function descriptorPath(arg: string | undefined): string | undefined {
  const path = /^(?:\d+|AT_FDCWD)<(.*)>$/s.exec(arg ?? '')?.[1]
  return path?.startsWith('/') ? unescaped(path) : undefined
}

const letters: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12 }

function unescaped(text: string): string {
  if (!text.includes('\\')) return text
  const bytes: Buffer[] = []
  const pattern = /\\([0-7]{1,3})|\\x([0-9a-f]{2})|\\(.)|([^\\]+)/gs
  for (const [, octal, hex, letter, plain] of text.matchAll(pattern)) {
    if (plain !== undefined) bytes.push(Buffer.from(plain))
    else if (octal !== undefined) bytes.push(Buffer.from([Number.parseInt(octal, 8)]))
    else if (hex !== undefined) bytes.push(Buffer.from([Number.parseInt(hex, 16)]))
    else bytes.push(Buffer.from(letter! in letters ? [letters[letter!]!] : letter!))
  }
  return Buffer.concat(bytes).toString('utf8')
}
