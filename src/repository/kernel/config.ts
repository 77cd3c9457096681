import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'

/** What a kernel is to be configured with: options without CONFIG_, each with its value and the fragment that sets it. */
export type KernelOptions = ReadonlyMap<string, { readonly value: string; readonly fragment: string }>

const lineOf = (option: string, value: string): string => {
  if (value === 'n') return `# CONFIG_${option} is not set`
  return `CONFIG_${option}=${/^(y|m|\d+|0x[0-9a-f]+)$/i.test(value) ? value : `"${value}"`}`
}

/** As `make allnoconfig` takes it through KCONFIG_ALLCONFIG. */
export const configText = (options: KernelOptions): string =>
  `${[...options].map(([option, { value }]) => lineOf(option, value)).join('\n')}\n`

/** What of the options a configuration does not have: kconfig drops such lines without a word. */
export function droppedFrom(config: string, options: KernelOptions): string[] {
  const lines = new Set(config.split('\n'))
  return [...options].flatMap(([option, { value }]) => {
    const off = value === 'n' && !config.includes(`\nCONFIG_${option}=`)
    return off || lines.has(lineOf(option, value)) ? [] : [option]
  })
}

/** KERNEL_OPTION_DROPPED with every option dropped, the fragment that sets it, and what it would need where that is known. */
export async function refuseDropped(config: string, options: KernelOptions, tree: string): Promise<void> {
  const dropped = droppedFrom(config, options)
  if (dropped.length === 0) return
  const details = await Promise.all(
    dropped.map(async (option) => {
      const { value, fragment } = options.get(option)!
      return `CONFIG_${option}=${value} of ${fragment}: ${await whyDropped(option, config, tree)}`
    }),
  )
  const [first] = dropped
  throw new BootloomError(
    'KERNEL_OPTION_DROPPED',
    `the kernel's configuration drops CONFIG_${first} of the fragment ${options.get(first!)!.fragment}`,
    { where: first!, details },
  )
}

async function whyDropped(option: string, config: string, tree: string): Promise<string> {
  const pattern = `^[[:space:]]*(menu)?config ${option}$`
  const found = await run('grep', ['-rlE', '--include=Kconfig*', pattern, '.'], { cwd: tree }).catch(() => '')
  const files = found.split('\n').filter(Boolean)
  if (files.length === 0) return 'this kernel has no such option'
  const set = new Set([...config.matchAll(/^CONFIG_(\w+)=/gm)].map(([, name]) => name!))
  const conditions: string[] = []
  for (const file of files) conditions.push(...conditionsOf(option, await readFile(join(tree, file), 'utf8')))
  const unmet = [...new Set(conditions)].filter((condition) => !holds(condition, set))
  if (unmet.length > 0) return `needs ${unmet.join(', and ')}`
  return 'it stands below a menu that is off, takes another value, or is only ever selected by other options'
}

/** Every `depends on` of an option in a Kconfig file, and every `if` and menu that it stands in (kconfig-language). */
function conditionsOf(option: string, text: string): string[] {
  const conditions: string[] = []
  /** Of the blocks around; the `depends on` of a menu comes on the lines behind it. */
  const around: string[][] = []
  let at: 'option' | 'menu' | 'other' = 'other'
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const [word = '', ...rest] = line.trim().split(/\s+/)
    if (word === 'if' && !/^\s/.test(line)) around.push([rest.join(' ')])
    else if (word === 'menu' || word === 'choice') around.push([])
    else if (word === 'endif' || word === 'endmenu' || word === 'endchoice') around.pop()
    if (word === 'config' || word === 'menuconfig') {
      at = rest[0] === option ? 'option' : 'other'
      if (at === 'option') conditions.push(...around.flat())
    } else if (word === 'menu' || word === 'choice') at = 'menu'
    if (word !== 'depends' || rest[0] !== 'on') continue
    const condition = rest
      .slice(1)
      .join(' ')
      .replace(/\s*#.*/, '')
    if (at === 'option') conditions.push(condition)
    else if (at === 'menu') around.at(-1)?.push(condition)
  }
  return conditions
}

/** Of conditions made of names, !, && and ||; what else there is counts as met, for it is not understood here. */
function holds(condition: string, set: ReadonlySet<string>): boolean {
  if (/[=$"<>]/.test(condition)) return true
  const words = condition.match(/\w+|&&|\|\||[!()]/g) ?? []
  let at = 0
  const either = (): boolean => {
    let value = both()
    while (words[at] === '||') {
      at++
      value = both() || value
    }
    return value
  }
  const both = (): boolean => {
    let value = one()
    while (words[at] === '&&') {
      at++
      value = one() && value
    }
    return value
  }
  const one = (): boolean => {
    const word = words[at++]
    if (word === '!') return !one()
    if (word === '(') {
      const value = either()
      at++
      return value
    }
    return word === 'y' || word === 'm' || set.has(word ?? '')
  }
  return either()
}
