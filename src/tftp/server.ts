import type { RemoteInfo } from 'node:dgram'
import { asBootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { Carrier } from './carrier.ts'
import { FirstBlocks } from './first-blocks.ts'
import { negotiate } from './negotiate.ts'
import { largestText, toNetascii } from './netascii.ts'
import { decodeTftp, TftpPacketError, tftpErrors } from './packet.ts'
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
const transferSockets = 8

/** Serves files by TFTP, for reading only. Throws SOCKET_UNAVAILABLE, NATIVE_MISSING. */
export async function startTftp(options: TftpServerOptions): Promise<TftpServer> {
  const { address, port, log, settings } = options
  const tally = new TftpTally(log)
  const evicted = (client: string) => tally.trouble('evicted', { client })
  const transfers = new Transfers(settings.sessions, options.onMoving, evicted)
  const firstBlocks = new FirstBlocks()
  const carrier = await Carrier.open({
    address,
    port,
    log,
    sockets: settings.singlePort ? 0 : transferSockets,
    onRequest(bytes, from) {
      serve(bytes, from, { carrier, transfers, firstBlocks, tally, options }).catch((error) => {
        log.error({ event: 'tftp-unanswered', from: from.address, reason: String(error) })
      })
    },
  })
  log.info({ event: 'tftp-listening', address, port: carrier.port })
  return {
    port: carrier.port,
    async close() {
      transfers.close()
      await carrier.close()
      tally.close()
    },
  }
}

interface Serving {
  readonly carrier: Carrier
  readonly transfers: Transfers
  readonly firstBlocks: FirstBlocks
  readonly tally: TftpTally
  readonly options: TftpServerOptions
}

/** An answer to what came to the port for requests. */
async function serve(bytes: Buffer, from: RemoteInfo, serving: Serving): Promise<void> {
  const { carrier, transfers, firstBlocks, tally, options } = serving
  const { log, onEvent, settings } = options
  const request = decodeRequest(bytes, serving, from.address)
  // An ERROR is never answered, and nothing else belongs here: it may be late for a transfer that is over.
  if (request?.op === 'write') carrier.refuse(from, tftpErrors.accessViolation, 'read only')
  if (request?.op !== 'read') return
  const text = request.mode === 'netascii'
  if (!text && request.mode !== 'octet') {
    carrier.refuse(from, tftpErrors.illegalOperation, 'bad mode')
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
    carrier.refuse(from, tftpErrors.undefined, 'busy, ask again')
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
      carrier.refuse(from, tftpErrors.notFound, refused!)
      slot.free()
      return
    }
    if (!slot.held()) return
    const sent = text ? [toNetascii(parts.length === 1 ? parts[0]! : Buffer.concat(parts))] : parts
    const terms = negotiate(request.options, lengthOf(sent), settings.blockSize)
    if (terms.accepted.size === 0 && !firstBlocks.allow(from.address, performance.now())) {
      tally.trouble('withheld', { client: from.address })
      slot.free()
      return
    }
    const session = carrier.begin(from, sent, terms, (end) => {
      slot.free()
      if (session.verified) firstBlocks.proved(from.address, performance.now())
      tell(end.result, end.bytes, end.reason)
    })
    slot.fill(session)
  } catch (error) {
    const { code, message } = asBootloomError(error)
    tally.trouble('refused', { client: from.address, file: request.file.slice(0, 200), code, reason: message })
    carrier.refuse(from, tftpErrors.undefined, code)
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
