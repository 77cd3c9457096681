import type { ClientClass } from './classes.ts'
import type { DhcpContext } from './context.ts'
import type { Client } from './firmware.ts'
import { overlay } from './named-options.ts'
import { type Options, readOption } from './options.ts'
import type { DhcpPacket } from './packet.ts'
import type { Asked, Told } from './reply.ts'
import { answerOn, type Road } from './roads.ts'
import type { Subnet } from './subnets.ts'
import type { Place } from './whereabouts.ts'

/** The kinds of message, and `ignored` for what deserves no answer. */
export type DhcpEventType =
  | 'discover'
  | 'offer'
  | 'request'
  | 'ack'
  | 'nak'
  | 'release'
  | 'decline'
  | 'inform'
  | 'ignored'

/** What was decided: the reply, where there is one, and the reason, where there is none or it is a NAK. */
export interface Decision {
  readonly type: DhcpEventType
  readonly client: Client
  readonly road: Road | undefined
  readonly address?: string
  readonly reply?: DhcpPacket
  readonly reason?: string
  /** It would have been given an address, were there a free one. */
  readonly exhausted?: true
}

/** A request with all that the answer follows from. */
export interface Exchange extends Asked {
  readonly context: DhcpContext
  readonly client: Client
  readonly classes: readonly ClientClass[]
  readonly road: Road | undefined
  readonly places: readonly Place[]
}

export const summary = ({ client, road }: Exchange) => ({ client, road })
export const ignored = (exchange: Exchange, reason: string): Decision => ({
  ...summary(exchange),
  type: 'ignored',
  reason,
})

/** Seconds. Firmware needs its address until the node runs; a running client may ask for less than it would get. */
export function leaseOf({ client, classes, request }: Exchange, { subnet }: Place): number {
  const ofClass = classes.findLast(({ lease }) => lease !== undefined)?.lease
  if (client.speaker !== 'os') return ofClass ?? subnet.firmwareLease
  const lease = ofClass ?? subnet.lease
  const asked = readOption(request.options, 'leaseTime') ?? lease
  return Math.max(60, Math.min(asked, lease))
}

/**
 * What the client is told; of its options, those of the node stand over its group's, class's, subnet's and everyone's. A
 * promise only where they have to be looked up.
 */
export function tell(exchange: Exchange, place: Place): Told | Promise<Told> {
  const common = tellAlike(exchange, place)
  const ofNode = exchange.context.optionsOf?.(exchange.client.mac)
  if (ofNode instanceof Promise) return ofNode.then((options) => tellOver(common, place, options))
  return tellOver(common, place, ofNode)
}

function tellOver(common: Told, { reservation }: Place, ofNode: Options | undefined): Told {
  if (!reservation && !ofNode) return common
  return { ...common, options: overlay(common.options, reservation?.options, ofNode) }
}

/** Clients of one subnet, road, classes and lease time are told the same: it is put together once. */
interface Alike {
  readonly lease: number
  readonly road: Road | undefined
  readonly classes: readonly ClientClass[]
  readonly told: Told
}

const alike = new WeakMap<DhcpContext, Map<Subnet, Alike[]>>()
/** Of each subnet: clients may ask for ever new lease times. */
const mostAlike = 64

function tellAlike(exchange: Exchange, place: Place): Told {
  const { context, classes, road } = exchange
  const { subnet } = place
  const lease = leaseOf(exchange, place)
  const known = alikeIn(context, subnet)
  for (const each of known) {
    if (each.lease === lease && each.road === road && sameClasses(each.classes, classes)) return each.told
  }
  const told = {
    lease,
    boot: road && answerOn(road, context.server),
    options: overlay(context.options, subnet.options, ...classes.map(({ options }) => options)),
  }
  if (known.length >= mostAlike) known.length = 0
  known.push({ lease, road, classes, told })
  return told
}

function alikeIn(context: DhcpContext, subnet: Subnet): Alike[] {
  const bySubnet = alike.get(context) ?? new Map<Subnet, Alike[]>()
  if (bySubnet.size === 0) alike.set(context, bySubnet)
  const known = bySubnet.get(subnet) ?? []
  if (known.length === 0) bySubnet.set(subnet, known)
  return known
}

const sameClasses = (one: readonly ClientClass[], other: readonly ClientClass[]) =>
  one.length === other.length && one.every((each, at) => each === other[at])
