import type { BootLoops } from './boot-loop.ts'
import type { Decision, DhcpEventType } from './exchange.ts'
import { type Client, identify } from './firmware.ts'
import { overlay } from './named-options.ts'
import { messageType } from './options.ts'
import type { DhcpPacket } from './packet.ts'
import { noAddress } from './packet.ts'
import { ackOf, offerOf, ports } from './reply.ts'
import { type BootServer, proxyAnswerOn, roadOf } from './roads.ts'

export interface ProxyContext {
  readonly server: BootServer
  readonly loops: BootLoops
}

/**
 * Answers beside another server that gives out the addresses (PXE 2.1 §2.2, ProxyDHCP): an OFFER without an address on
 * port 67, an ACK to whoever asks on port 4011. Whatever is no firmware, or asks for an address, is left to the other.
 */
export function decideProxy(
  request: DhcpPacket,
  context: ProxyContext,
  port: number,
  asking: Client = identify(request),
): Decision {
  const kind = messageType(request.options)
  const client = context.loops.straighten(asking, kind === 'request')
  const road = roadOf(client)
  const decision = (type: DhcpEventType, rest: Partial<Decision>): Decision => ({ client, road, type, ...rest })
  const ignored = (reason: string) => decision('ignored', { reason })
  if (request.op !== 1) return ignored('no request of a client')
  const boot = road && proxyAnswerOn(road, context.server)
  if (!boot) return ignored('no firmware that is booted here')
  const asked = { request, serverIdentifier: context.server.address }
  const told = { lease: undefined, boot, options: overlay() }
  if (port === ports.bootServer) {
    if (kind !== 'request' && kind !== 'inform') return ignored('no message that a boot server answers')
    return decision('ack', { reply: ackOf(asked, noAddress, told) })
  }
  if (kind !== 'discover') return ignored('left to the other server')
  return decision('offer', { reply: offerOf(asked, noAddress, told) })
}
