import { createHash } from 'node:crypto'

/** What a step of a workload was answered, in a form that two runs can be compared by. */
export interface Answer {
  /** `200 text/html`, `exit 0`, or `tcp`. */
  readonly status: string
  /** SHA-256 of the content. */
  readonly digest: string
  /** The content's lines with what differs from run to run masked, `longest` of them at most, each as a short hash. */
  readonly lines: readonly string[]
  /** For people: how the content begins. */
  readonly text: string
}

/** More lines than this are compared by the digest of all of them together. */
const longest = 2000
/** Letters of the content that are kept to be read. */
const readable = 4096

export function answerOf(status: string, content: Buffer | string): Answer {
  const text = content.toString('utf8')
  const lines = masked(text).split('\n')
  const kept = lines.length > longest ? [...lines.slice(0, longest), lines.slice(longest).join('\n')] : lines
  return {
    status,
    digest: createHash('sha256').update(content).digest('hex'),
    lines: kept.map((line) => createHash('sha256').update(line).digest('base64').slice(0, 8)),
    text: text.slice(0, readable),
  }
}

/** Numbers (times, sizes, process ids), words of eight and more letters and digits mixed (ids), and names in dates. */
const masked = (text: string): string =>
  text
    .replace(/\b(?=[0-9A-Za-z_-]*\d)(?=[0-9A-Za-z_-]*[A-Za-z])[0-9A-Za-z_-]{8,}\b/g, '#')
    .replace(/\d+/g, '0')
    .replace(/\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b/g, 'month')
    .replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b/g, 'day')

/**
 * How an answer differs from the expected one, in a few words; undefined when it does not. `again` is what the same step
 * was answered another time by the same files: what differs between the two tells nothing.
 */
export function difference(expected: Answer, got: Answer, again: Answer = expected): string | undefined {
  if (got.status !== expected.status && again.status === expected.status) {
    return `answered ${got.status}, not ${expected.status}`
  }
  if (got.digest === expected.digest || got.digest === again.digest) return undefined
  if (expected.lines.length !== again.lines.length) return undefined
  if (got.lines.length !== expected.lines.length) {
    const shown = `${quoted(got.text)}, not ${quoted(expected.text)}`
    return `answered ${got.lines.length} lines, not ${expected.lines.length}: ${shown}`
  }
  const at = expected.lines.findIndex((line, index) => line === again.lines[index] && line !== got.lines[index])
  if (at < 0) return undefined
  const [is, was] = [got.text.split('\n')[at], expected.text.split('\n')[at]]
  const shown = is === undefined || was === undefined || is === was ? '' : `: ${quoted(is)}, not ${quoted(was)}`
  return `line ${at + 1} of the answer differs${shown}`
}

/** How a text begins. */
const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
