import type { Admission } from '../fleet/admission.ts'
import type { Boots } from '../fleet/boots.ts'
import type { Bundles } from '../fleet/bundles.ts'
import { readName } from './names.ts'
import type { TftpEvent } from './server.ts'

interface AccountContext {
  readonly boots: Boots
  readonly bundles: Bundles
  readonly admission: Admission | undefined
}

/**
 * What moves by TFTP is told to the boot of the node that it moves to, and to the admission of nodes. TFTP knows no MAC:
 * the node is who was given the address, or whose overlay it is.
 */
export function transferAccount({ boots, bundles, admission }: AccountContext) {
  const moving = (client: string) => {
    const mac = boots.macAt(client)
    if (mac !== undefined) admission?.moving(mac, Date.now())
  }
  const sent = async ({ client, file, bytes }: TftpEvent) => {
    const { stage, digest, mac = boots.macAt(client) } = readName(file)
    if (mac === undefined) return
    boots.record(mac, { stage, file, bytes })
    if (stage === 'overlay') admission?.done(mac, Date.now())
    if (stage !== 'initramfs' || !digest) return
    const boot = boots.underWay(mac)
    const { config } = await bundles.get(digest)
    if (config.level !== 'foreign' || boot?.bundle !== digest) return
    // No overlay follows, so nothing more is seen of it.
    boots.delivered(mac, boot.id)
    admission?.done(mac, Date.now())
  }
  return {
    onMoving: moving,
    onEvent(event: TftpEvent): void {
      if (event.type === 'request') moving(event.client)
      // A bundle that is damaged by now was told to whoever asked for it.
      else if (event.type === 'sent') void sent(event).catch(() => {})
    },
  }
}
