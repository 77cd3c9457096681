import { renderOverlay } from '../compose/overlay.ts'
import { BootloomError } from '../config/errors.ts'
import type { Body } from '../fleet/bundles.ts'
import { parseMac } from '../fleet/mac.ts'
import { fillTemplate } from '../fleet/template.ts'
import { type Digest, isDigest, parseDigest } from '../store/digest.ts'
import type { HotBlobs } from '../store/hot-blobs.ts'
import { type BootConfigContext, bootConfig, retry } from './boot-config.ts'
import type { TftpFiles } from './server.ts'
import type { Loader } from './templates.ts'

export interface NameSpace extends BootConfigContext {
  /** Boot programs by name. */
  readonly programs: ReadonlyMap<string, Buffer>
  readonly hot: HotBlobs
}

const mac = '(?<mac>(?:[0-9a-f]{2}[-:]){5}[0-9a-f]{2})'
const names = {
  pxelinux: new RegExp(`^pxelinux\\.cfg/01-${mac}$`),
  grub: new RegExp(`^(?:grub/)?grub\\.cfg-01-${mac}$`),
  bundle: /^bundle\/(?<digest>[0-9a-f]{64})\/(?<stage>kernel|initramfs)$/,
  overlay: new RegExp(`^overlay/${mac}/(?<boot>[0-9a-f]{24})$`),
}
const grubChains = ['grub/grub.cfg', 'grub.cfg']

/** Bytes: a blob that cannot be held in memory is not for TFTP. */
const inMemory = async (hot: HotBlobs, body: Body): Promise<Buffer[]> => {
  const parts: Buffer[] = []
  for (const { digest, size } of body.parts) {
    const blob = await hot.get(digest, size)
    if (!blob) throw new BootloomError('BUNDLE_BROKEN', `${digest} is too large to be sent by TFTP`, { where: digest })
    parts.push(blob.bytes)
  }
  return parts
}

/** Case and leading slashes do not matter: loaders differ in both. */
const plain = (name: string): string => name.replace(/^\/+/, '').toLowerCase()

/**
 * All there is to be had by TFTP: boot programs, iPXE's `autoexec.ipxe`, configurations of PXELINUX and GRUB, and what
 * these name. Nothing of it is a path: a name that fits none of these is no file.
 */
export function tftpNames(space: NameSpace): TftpFiles {
  const { programs, templates, boots, bundles, hot, server } = space
  const configure = async (loader: Loader, node: string, address: string) => {
    refuseOthers(node, address)
    return [Buffer.from(await bootConfig(loader, node, space))]
  }
  return async (asked, client) => {
    const name = plain(asked)
    const program = programs.get(asked.replace(/^\/+/, ''))
    if (program) return [program]
    if (name === 'autoexec.ipxe') return [Buffer.from(fillTemplate(templates.autoexec, { server, retry }))]
    if (grubChains.includes(name)) return [Buffer.from(fillTemplate(templates.grubChain, { retry }))]
    for (const loader of ['pxelinux', 'grub'] as const) {
      const found = names[loader].exec(name)?.groups
      if (found) return configure(loader, parseMac(found.mac!), client.address)
    }
    const bundle = names.bundle.exec(name)?.groups
    if (bundle) {
      const served = await bundles.get(parseDigest(`sha256:${bundle.digest}`))
      return inMemory(hot, served[bundle.stage as 'kernel' | 'initramfs'])
    }
    const overlay = names.overlay.exec(name)?.groups
    if (overlay) return [await overlayFor(parseMac(overlay.mac!), overlay.boot!, client.address)]
    return undefined
  }

  /** TFTP knows no MAC: whoever has an address that we gave to another node does not speak for this one. */
  function refuseOthers(node: string, address: string): void {
    const holder = boots.macAt(address)
    if (holder === undefined || holder === node) return
    throw new BootloomError('NODE_NOT_YOU', `${address} is ${holder}, and asks as ${node}`, { where: node })
  }

  async function overlayFor(node: string, bootId: string, address: string): Promise<Buffer> {
    const boot = await boots.expect(node, bootId)
    refuseOthers(node, address)
    if (boot.bundle === undefined || !isDigest(boot.bundle)) {
      throw new BootloomError('BOOT_NOT_CURRENT', `${node} was given no bundle in this boot`)
    }
    const { config } = await bundles.get(boot.bundle)
    if (config.level === 'foreign') throw new BootloomError('BOOT_NOT_CURRENT', 'a foreign bundle takes no overlay')
    const { hostname } = await space.assignments.resolve(node)
    const named = hostname === undefined ? { mac: node } : { mac: node, hostname }
    return renderOverlay({ manifestDigest: boot.bundle, config, node: named, server, bootId })
  }
}

/** In which stage of a boot a transfer of this name belongs; of which bundle, or of which node, where the name says it. */
export function readName(asked: string): {
  readonly stage: 'kernel' | 'initramfs' | 'overlay' | 'tftp'
  readonly digest?: Digest
  readonly mac?: string
} {
  const name = plain(asked)
  const bundle = names.bundle.exec(name)?.groups
  if (bundle) return { stage: bundle.stage as 'kernel' | 'initramfs', digest: parseDigest(`sha256:${bundle.digest}`) }
  const overlay = names.overlay.exec(name)?.groups
  return overlay ? { stage: 'overlay', mac: parseMac(overlay.mac!) } : { stage: 'tftp' }
}
