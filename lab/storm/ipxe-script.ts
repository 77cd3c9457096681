import { StageFailure } from './plan.ts'

/** What a script may do to the world; each tells whether the command succeeded. */
export interface ScriptActions {
  /** Fetches a script; undefined when that failed. */
  chain(url: string): Promise<string | undefined>
  /** Fetches an image to keep. `words` are the kernel's command line. */
  fetch(kind: 'kernel' | 'initrd', name: string, url: string, words: readonly string[]): Promise<boolean>
  sleep(seconds: number): Promise<void>
}

type Variables = Readonly<Record<string, string>>

/**
 * Runs an iPXE script as iPXE does, as far as scripts of boot servers go: labels, `||` and `&&`, variables, `chain
 * --replace`. Resolves when the script says `boot` with a kernel in place; a StageFailure when it ends in any other way.
 */
export async function runScript(text: string, variables: Variables, actions: ScriptActions): Promise<void> {
  let script = linesOf(text)
  let at = 0
  let kernel = false
  let set: Record<string, string> = {}
  for (let steps = 0; at < script.length; at++) {
    // Each line either waits for the network or for time, so no script comes here soon.
    if (++steps > 100_000) throw new StageFailure('script', 'the script turns in circles')
    const line = script[at]!
    if (line === '' || line.startsWith('#') || line.startsWith(':')) continue
    let ok = true
    let joint = ''
    for (const part of line.split(/\s(\|\||&&)(?:\s|$)/)) {
      if (part === '||' || part === '&&') {
        joint = part
        continue
      }
      if ((joint === '||' && ok) || (joint === '&&' && !ok)) continue
      const outcome = await command(part.trim())
      if (outcome === 'boots') return
      if (outcome === 'replaced') {
        at = -1
        ok = true
        break
      }
      if (outcome === 'exits') throw new StageFailure('script', 'the script hands back to the firmware')
      ok = outcome
    }
    if (!ok) throw new StageFailure('script', `the script ends at: ${line.slice(0, 120)}`)
  }
  throw new StageFailure('script', 'the script ends without booting')

  async function command(text: string): Promise<boolean | 'boots' | 'replaced' | 'exits'> {
    const expanded = expand(text, { ...variables, ...set })
    const [verb = '', ...words] = expanded.split(/\s+/).filter((word) => word !== '')
    const plain = words.filter((word) => !word.startsWith('--'))
    switch (verb) {
      case '':
      case 'echo':
      case 'imgfree':
        return true
      case 'set':
        set = { ...set, [(words[0] ?? '').split(':')[0]!]: words.slice(1).join(' ') }
        return true
      case 'isset':
        return plain.length > 0
      case 'iseq':
        return words[0] === words[1]
      case 'goto': {
        const label = script.indexOf(`:${words[0]}`)
        if (label >= 0) at = label
        return label >= 0
      }
      case 'sleep':
        await actions.sleep(Number(words[0]))
        return true
      case 'chain': {
        const next = await actions.chain(plain[0] ?? '')
        if (next === undefined) return false
        script = linesOf(next)
        return 'replaced'
      }
      case 'kernel':
      case 'initrd': {
        const named = words.indexOf('--name')
        const name = named === -1 ? verb : (words[named + 1] ?? '')
        const [url = '', ...rest] = plain.filter((word) => word !== name || named === -1)
        const ok = await actions.fetch(verb, name, url, rest)
        if (ok && verb === 'kernel') kernel = true
        return ok
      }
      case 'boot':
        return kernel ? 'boots' : false
      case 'exit':
      case 'sanboot':
        return 'exits'
      default:
        throw new StageFailure('script', `a simulated iPXE knows no command "${verb.slice(0, 40)}"`)
    }
  }
}

function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim())
  if (lines[0] !== '#!ipxe') throw new StageFailure('script', `no iPXE script: ${text.slice(0, 60)}`)
  return lines
}

/** Settings filled in, as iPXE does in its scripts and in the boot file that DHCP names. */
export function expand(text: string, settings: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{([\w/-]+)(?::(\w+))?\}/g, (_all, name: string, as?: string) => {
    const value = settings[name] ?? ''
    return as === 'uristring' ? encodeURIComponent(value) : as === 'hexhyp' ? value.replaceAll(':', '-') : value
  })
}
