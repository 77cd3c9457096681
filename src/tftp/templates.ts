import { readFile } from 'node:fs/promises'

/** Boot loaders that read their instructions by TFTP. */
const loaders = ['pxelinux', 'grub'] as const
export type Loader = (typeof loaders)[number]

const answers = ['boot', 'unassigned', 'not-ready', 'waiting', 'local', 'error'] as const
export type Answer = (typeof answers)[number]

export interface TftpTemplates {
  readonly of: Readonly<Record<Loader, Readonly<Record<Answer, string>>>>
  /** iPXE's own first script, which goes on by HTTP. */
  readonly autoexec: string
  /** What GRUB reads when it does not ask by MAC. */
  readonly grubChain: string
}

const read = (path: string) => readFile(new URL(`../../templates/${path}`, import.meta.url), 'utf8')

/** Reads templates/tftp, once at start. */
export async function loadTftpTemplates(): Promise<TftpTemplates> {
  const ofLoader = async (loader: Loader) => {
    const texts = await Promise.all(answers.map(async (name) => [name, await read(`tftp/${loader}-${name}.cfg`)]))
    return [loader, Object.fromEntries(texts) as Record<Answer, string>] as const
  }
  return {
    of: Object.fromEntries(await Promise.all(loaders.map(ofLoader))) as Record<Loader, Record<Answer, string>>,
    autoexec: await read('ipxe/chain.ipxe'),
    grubChain: await read('tftp/grub-chain.cfg'),
  }
}
