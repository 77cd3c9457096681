import prettyBytes from 'pretty-bytes'
import { bootArguments, foreignCommandLine } from '../compose/boot-arguments.ts'
import { asBootloomError, BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import { type Admission, waitWords } from '../fleet/admission.ts'
import type { Assignments, BootAnswer } from '../fleet/assignment.ts'
import type { Boots } from '../fleet/boots.ts'
import type { Bundles } from '../fleet/bundles.ts'
import { fillTemplate, screenText } from '../fleet/template.ts'
import { hexOf } from '../store/digest.ts'
import type { Answer, Loader, TftpTemplates } from './templates.ts'

export interface BootConfigContext {
  readonly assignments: Assignments
  readonly boots: Boots
  readonly bundles: Bundles
  readonly templates: TftpTemplates
  /** Undefined: every node may download at once. */
  readonly admission: Admission | undefined
  readonly log: Logger
  /** `http://ADDRESS:PORT`, which a running node reports to. */
  readonly server: string
}

/** Seconds until a node that got no bundle asks again. */
export const retry = '10'

/** Names in the TFTP name space use hyphens: a colon ends a host's name for some clients. */
const hyphened = (mac: string): string => mac.replaceAll(':', '-')

/**
 * What GRUB or PXELINUX reads to boot this node: kernel, bundle and overlay by TFTP, as it is assigned. Whatever goes
 * wrong, the answer is a configuration that says so on the node's screen and begins anew.
 */
export async function bootConfig(loader: Loader, mac: string, context: BootConfigContext): Promise<string> {
  const { boots, log, templates } = context
  const again = loader === 'pxelinux' ? { config: configs.pxelinux + hyphened(mac) } : {}
  const fill = (answer: Answer, values: Readonly<Record<string, string>>) => {
    if (loader === 'grub') for (const [name, value] of Object.entries(values)) checkGrubText(name, value)
    return fillTemplate(templates.of[loader][answer], values)
  }
  try {
    const answer = await context.assignments.resolve(mac)
    switch (answer.action) {
      case 'boot': {
        const wait = context.admission?.ask(mac, Date.now())
        if (!wait) return fill('boot', await bootValues(loader, mac, answer, context))
        const { blueprint } = answer
        boots.script(mac, 'waiting', { blueprint })
        return fill('waiting', { mac, blueprint, ...waitWords(wait), config: configs[loader] + hyphened(mac) })
      }
      case 'not-ready': {
        const { blueprint, channel, action } = answer
        boots.script(mac, action, { blueprint })
        return fill(action, { mac, blueprint, channel, retry, ...again })
      }
      case 'local':
        boots.script(mac, 'local')
        return fill('local', { mac })
      case 'unassigned':
        boots.script(mac, 'unassigned')
        return fill('unassigned', { mac, retry, ...again })
    }
  } catch (error) {
    const { code, message, hint } = asBootloomError(error)
    log.error({ event: 'script-failed', mac, loader, code, reason: message })
    boots.script(mac, 'error', { detail: code })
    const told = { code, message: screenText(message), hint: screenText(hint) }
    return fillTemplate(templates.of[loader].error, { ...told, retry, ...again })
  }
}

async function bootValues(
  loader: Loader,
  mac: string,
  { blueprint, bundle: digest, hostname, gaveUp }: Extract<BootAnswer, { action: 'boot' }>,
  { bundles, boots, server }: BootConfigContext,
): Promise<Record<string, string>> {
  const { config, kernel, initramfs } = await bundles.get(digest)
  const foreign = config.level === 'foreign'
  if (initramfs.size === 0) throw new BootloomError('BUNDLE_BROKEN', 'without an initrd it boots by iPXE alone')
  const boot = boots.script(mac, 'boot', { blueprint, bundle: digest, gaveUp })
  const named = { server, mac, boot: boot.id, bundle: digest, deadline: boots.deadline }
  const place = `${devices[loader]}bundle/${hexOf(digest)}`
  const initrds = [`${place}/initramfs`, ...(foreign ? [] : [`${devices[loader]}overlay/${hyphened(mac)}/${boot.id}`])]
  return {
    mac,
    blueprint,
    bundle: digest,
    kernel: `${place}/kernel`,
    initrds: initrds.join(loader === 'grub' ? ' ' : ','),
    cmdline: foreign
      ? foreignCommandLine(config.cmdline, { mac, server, hostname })
      : `${config.cmdline} ${bootArguments(named)}`.trim(),
    kernelSize: prettyBytes(kernel.size),
    initramfsSize: prettyBytes(initramfs.size),
    ...(loader === 'grub' ? { retry } : {}),
  }
}

/** Before a node's MAC: where its loader asks again. */
const configs = { grub: '(tftp)/grub/grub.cfg-01-', pxelinux: 'pxelinux.cfg/01-' } as const

/** What stands before a name, so that the loader asks this server. */
const devices = { grub: '(tftp)/', pxelinux: '' } as const

/** GRUB's language expands, quotes and chains more than iPXE's: what it would not take as text is refused, not escaped. */
function checkGrubText(name: string, value: string): void {
  const odd = /[^A-Za-z0-9 ._:/,=@%+[\]()-]/.exec(value)
  if (!odd) return
  throw new BootloomError(
    'SCRIPT_VALUE_UNSAFE',
    `the value of ${name} holds ${JSON.stringify(odd[0])}, which GRUB reads`,
    {
      where: name,
    },
  )
}
