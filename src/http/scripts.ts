import prettyBytes from 'pretty-bytes'
import { asBootloomError } from '../config/errors.ts'
import { type Wait, waitWords } from '../fleet/admission.ts'
import { fillTemplate, screenText } from '../fleet/template.ts'
import type { Templates } from './template.ts'

/** Seconds that a node waits before it asks again. */
const retry = '10'

interface BootScript {
  /** `http://ADDRESS:PORT` of this server on the boot network. */
  readonly server: string
  /** Where kernel and initramfs come from: this server, or the node's rack cache. */
  readonly files: string
  readonly mac: string
  readonly blueprint: string
  readonly bundle: string
  readonly boot: string
  readonly cmdline: string
  readonly kernelBytes: number
  readonly initramfsBytes: number
}

/** What /boot.ipxe says: ask /ipxe with your MAC. */
export const chainScript = (templates: Templates, server: string): string =>
  fillTemplate(templates.chain, { server, retry })

/** Kernel, bundle and overlay; `initrd=` names them for UEFI, where the kernel loads them itself. */
export function bootScript(templates: Templates, script: BootScript): string {
  const { kernelBytes, initramfsBytes, ...values } = script
  const sizes = { kernelSize: prettyBytes(kernelBytes), initramfsSize: prettyBytes(initramfsBytes) }
  return fillTemplate(templates.boot, { ...values, ...sizes, retry })
}

/** Kernel and initrds as somebody else made them: no overlay goes with them. */
export function foreignScript(templates: Templates, script: BootScript): string {
  const { kernelBytes, initramfsBytes, ...values } = script
  const kernelSize = prettyBytes(kernelBytes)
  if (initramfsBytes === 0) return fillTemplate(templates['foreign-kernel'], { ...values, kernelSize, retry })
  return fillTemplate(templates.foreign, { ...values, kernelSize, initramfsSize: prettyBytes(initramfsBytes), retry })
}

export const unassignedScript = (templates: Templates, server: string, mac: string): string =>
  fillTemplate(templates.unassigned, { server, mac, retry })

export const notReadyScript = (
  templates: Templates,
  values: { server: string; mac: string; blueprint: string; channel: string },
): string => fillTemplate(templates['not-ready'], { ...values, retry })

/** What a node shows while others download; it asks again when it was told to. */
export function waitingScript(
  templates: Templates,
  values: { server: string; mac: string; blueprint: string },
  wait: Wait,
): string {
  return fillTemplate(templates.waiting, { ...values, ...waitWords(wait) })
}

export const localScript = (templates: Templates, mac: string): string => fillTemplate(templates.local, { mac })

/** Shows any error on the node's screen, then begins again. Never fails. */
export function errorScript(templates: Templates, server: string, error: unknown): string {
  const { code, message, hint } = asBootloomError(error)
  return fillTemplate(templates.error, {
    server,
    code,
    message: screenText(message),
    hint: screenText(hint),
    retry,
  })
}
