/** What one block of a file in /etc/logrotate.d says (logrotate(8)), as far as it touches files or services. */
export interface Rotation {
  /** Globs over absolute paths. */
  readonly logs: readonly string[]
  /** The scripts run once for all logs of the block, instead of once for each. */
  readonly isShared: boolean
  /** `copy`: the log is copied and emptied, and stays the same file. `move`: it gets another name. */
  readonly how: 'copy' | 'move'
  /** The empty log that is made in place of a moved one; what is undefined is as with the old one. */
  readonly create: { readonly mode?: number; readonly owner?: string; readonly group?: string } | undefined
  /** Before and after, each as a text for sh. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** What Debian's own logrotate.conf has for all: an empty log is made with the old one's owner and mode. */
const fresh: Rotation = { logs: [], isShared: false, how: 'move', create: {}, before: [], after: [] }

const before = new Set(['firstaction', 'prerotate'])
const after = new Set(['postrotate', 'lastaction'])
const scripts = new Set([...before, ...after, 'preremove'])

/** The blocks of a file; lines outside of them, which are defaults of times and numbers, are passed over. */
export function parseLogrotate(text: string): Rotation[] {
  const found: Rotation[] = []
  const lines = text.split('\n')
  let named: string[] = []
  let block: Rotation | undefined
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!.replace(/^\s*#.*/, '').trim()
    const [word = '', ...rest] = line.split(/[\s=]+/)
    if (!block) {
      const [paths = '', opened] = line.split('{', 2)
      // Anything else is a setting for all that follows.
      if (/^["'/]/.test(paths)) named.push(...pathsIn(paths))
      else if (paths !== '') named = []
      if (opened === undefined) continue
      block = { ...fresh, logs: named }
      named = []
    } else if (scripts.has(word)) {
      const end = lines.findIndex((other, index) => index > at && /^\s*endscript\b/.test(other))
      const script = `${lines.slice(at + 1, end < 0 ? lines.length : end).join('\n')}\n`
      if (before.has(word)) block = { ...block, before: [...block.before, script] }
      if (after.has(word)) block = { ...block, after: [...block.after, script] }
      at = end < 0 ? lines.length : end
    } else if (line.startsWith('}')) {
      found.push(block)
      block = undefined
    } else block = { ...block, ...settingOf(word, rest) }
  }
  return found
}

function settingOf(word: string, rest: readonly string[]): Partial<Rotation> {
  if (word === 'sharedscripts') return { isShared: true }
  if (word === 'nosharedscripts') return { isShared: false }
  if (word === 'copytruncate') return { how: 'copy' }
  if (word === 'nocreate') return { create: undefined }
  if (word !== 'create') return {}
  const hasMode = /^[0-7]{3,4}$/.test(rest[0] ?? '')
  const [owner, group] = hasMode ? rest.slice(1) : rest
  return {
    create: {
      ...(hasMode ? { mode: Number.parseInt(rest[0]!, 8) } : {}),
      ...(owner ? { owner } : {}),
      ...(group ? { group } : {}),
    },
  }
}

const pathsIn = (text: string): string[] =>
  [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare!)
