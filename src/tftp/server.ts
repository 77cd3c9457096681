import type { RemoteInfo } from 'node:dgram'
import { asBootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { Content } from './content.ts'
import { FirstBlocks } from './first-blocks.ts'
import { negotiate, type Terms } from './negotiate.ts'
import { largestText, toNetascii } from './netascii.ts'
import { decodeTftp, TftpPacketError, tftpErrors } from './packet.ts'
import { Port } from './port.ts'
import { segmentedBlocks, segmentSends } from './segments.ts'
import { Session } from './session.ts'
import { TftpTally } from './tally.ts'
import { Transfers } from './transfers.ts'

/** The closed name space: what a name stands for, for this client. A name is never a path of the file system. */
export type TftpFiles = (
  name: string,
  client: { readonly address: string },
) => Promise<readonly Buffer[] | undefined> | readonly Buffer[] | undefined

export interface TftpServerOptions {
  readonly address: string
  /** 0: any free one, see `TftpServer.port`. */
  readonly port: number
  readonly settings: Pick<Settings['tftp'], 'singlePort' | 'blockSize' | 'sessions'>
  readonly files: TftpFiles
  readonly log: Logger
  readonly onEvent: (event: TftpEvent) => void
  /** Every few seconds in which the client at this address takes what it is sent. */
  readonly onMoving?: (client: string) => void
}

/** The beginning or the end of one transfer. `aborted` at 0 bytes is firmware that only asked for the size. */
export interface TftpEvent {
  readonly type: 'request' | 'sent' | 'aborted' | 'lost' | 'refused'
  /** The client's IPv4 address. */
  readonly client: string
  readonly file: string
  /** Bytes acknowledged so far. */
  readonly bytes: number
  readonly reason?: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface TftpServer {
  readonly port: number
  /** Ends running transfers, telling their clients. */
  close(): Promise<void>
}

/** Sockets that transfers are spread over in turn: a client that asks from one port again gets another port of ours. */
const transferPorts = 8

/** Serves files by TFTP, for reading only. Throws SOCKET_UNAVAILABLE. */
export async function startTftp(options: TftpServerOptions): Promise<TftpServer> {
  const { address, log, settings } = options
  const opened: Port[] = []
  const open = async (port: number) => {
    const failed = (reason: string) => log.error({ event: 'tftp-socket', reason })
    const one = await Port.open(address, port, failed)
    opened.push(one)
    return one
  }
  const tally = new TftpTally(log)
  const evicted = (client: string) => tally.trouble('evicted', { client })
  const transfers = new Transfers(settings.sessions, options.onMoving, evicted)
  const firstBlocks = new FirstBlocks()
  const close = async () => {
    await transfers.close()
    tally.close()
    await Promise.all(opened.map((port) => port.close()))
  }
  try {
    // The port for requests comes last: whoever asks there can be answered.
    const others = settings.singlePort ? undefined : await openPorts()
    const main = await open(options.port)
    const ports = others ?? { any: [main], segmented: new Map<number, Port>() }
    let turn = 0
    const portFor = ({ window, blockSize }: Terms) =>
      (window > 1 ? ports.segmented.get(blockSize) : undefined) ?? ports.any[turn++ % ports.any.length]!
    main.onStranger = (bytes, from) => {
      serve(bytes, from, { main, portFor, transfers, firstBlocks, tally, options }).catch((error) => {
        log.error({ event: 'tftp-unanswered', from: from.address, reason: String(error) })
      })
    }
    log.info({ event: 'tftp-listening', address, port: main.number })
    return { port: main.number, close }
  } catch (error) {
    await close()
    throw error
  }

  async function openPorts() {
    const any = await Promise.all(Array.from({ length: transferPorts }, () => open(0)))
    const bySize = new Map(
      await Promise.all(segmentedBlocks.map(async (block): Promise<[number, Port]> => [block, await open(0)])),
    )
    const wanted = [...bySize].map(([block, port]) => ({ port: port.number, bytes: block + 4 }))
    if (await segmentSends(address, wanted)) {
      for (const [block, port] of bySize) {
        port.segment = block + 4
        port.unsegment = () => {
          log.warn({ event: 'tftp-unsegmented', block, reason: 'the kernel refused it: is the MTU smaller?' })
          void segmentSends(address, [{ port: port.number, bytes: 0 }])
        }
      }
    } else log.warn({ event: 'tftp-unsegmented', reason: 'UDP_SEGMENT cannot be set: each block is sent by itself' })
    return { any, segmented: bySize }
  }
}

interface Serving {
  readonly main: Port
  readonly portFor: (terms: Terms) => Port
  readonly transfers: Transfers
  readonly firstBlocks: FirstBlocks
  readonly tally: TftpTally
  readonly options: TftpServerOptions
}

/** An answer to what came to the port for requests. */
async function serve(bytes: Buffer, from: RemoteInfo, serving: Serving): Promise<void> {
  const { main, transfers, firstBlocks, tally, options } = serving
  const { log, onEvent, settings } = options
  const request = decodeRequest(bytes, serving, from.address)
  // An ERROR is never answered, and nothing else belongs here: it may be late for a transfer that is over.
  if (request?.op === 'write') main.refuse(from, tftpErrors.accessViolation, 'read only')
  if (request?.op !== 'read') return
  const text = request.mode === 'netascii'
  if (!text && request.mode !== 'octet') {
    main.refuse(from, tftpErrors.illegalOperation, 'bad mode')
    return
  }
  const slot = transfers.take(from, bytes)
  // The same request again while it is being served: our answer is on its way, and the session repeats it if need be.
  if (slot === 'repeated') return
  const tell = (type: TftpEvent['type'], sent: number, reason?: string) => {
    const event = { type, client: from.address, file: request.file, bytes: sent, ...(reason && { reason }) }
    onEvent({ ...event, at: Date.now() })
    const { client, file } = event
    if (type === 'refused') tally.trouble(type, { client, file: file.slice(0, 200), ...(reason && { reason }) })
    else tally.count(type)
    // A line for what went to somebody; of requests anyone can send any number.
    if (type === 'sent' || sent > 0) log.info({ ...event, event: `tftp-${type}` })
    else log.debug({ ...event, event: `tftp-${type}` })
  }
  if (slot === 'full') {
    tally.trouble('full', { client: from.address })
    main.refuse(from, tftpErrors.undefined, 'busy, ask again')
    return
  }
  try {
    tell('request', 0)
    const parts = await options.files(request.file, { address: from.address })
    const refused = parts
      ? text && lengthOf(parts) > largestText
        ? 'too large for netascii'
        : undefined
      : 'no such file'
    if (!parts || refused !== undefined) {
      tell('refused', 0, refused)
      main.refuse(from, tftpErrors.notFound, refused!)
      slot.free()
      return
    }
    if (!slot.held()) return
    const content = new Content(text ? [toNetascii(parts.length === 1 ? parts[0]! : Buffer.concat(parts))] : parts)
    const terms = negotiate(request.options, content.size, settings.blockSize)
    if (terms.accepted.size === 0 && !firstBlocks.allow(from.address, performance.now())) {
      tally.trouble('withheld', { client: from.address })
      slot.free()
      return
    }
    const port = serving.portFor(terms)
    const session = new Session(port.wire(from), content, terms, performance.now(), (end) => {
      slot.free()
      port.detach(from, session)
      if (session.verified) firstBlocks.proved(from.address, performance.now())
      tell(end.result, end.bytes, end.reason)
    })
    port.attach(from, session)
    slot.fill(session)
  } catch (error) {
    const { code, message } = asBootloomError(error)
    tally.trouble('refused', { client: from.address, file: request.file.slice(0, 200), code, reason: message })
    main.refuse(from, tftpErrors.undefined, code)
    slot.free()
  }
}

const lengthOf = (parts: readonly Buffer[]) => parts.reduce((sum, part) => sum + part.length, 0)

function decodeRequest(bytes: Buffer, { tally, options: { log } }: Serving, from: string) {
  try {
    return decodeTftp(bytes)
  } catch (error) {
    if (!(error instanceof TftpPacketError)) throw error
    tally.count('malformed')
    log.debug({ event: 'tftp-malformed', from, fault: error.fault, reason: error.message })
    return undefined
  }
}
