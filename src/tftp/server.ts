import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import { negotiate } from './negotiate.ts'
import { decodeTftp, encodeTftp, type TftpPacket, TftpPacketError, tftpErrors } from './packet.ts'
import { Transfer } from './session.ts'

/** The closed name space: what a name stands for, for this client. A name is never a path of the file system. */
type TftpFiles = (name: string, client: { readonly address: string }) => Promise<{ readonly bytes: Buffer } | undefined>

export interface TftpServerOptions {
  readonly address: string
  /** 0: any free one, see `TftpServer.port`. */
  readonly port: number
  readonly files: TftpFiles
  readonly log: Logger
  readonly onEvent: (event: TftpEvent) => void
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

/** Transfers at once, in all and for one client: what is beyond is refused, so that a flood starves nobody for long. */
const most = { all: 1024, ofOne: 32 }

/** Serves files by TFTP, for reading only. Throws SOCKET_UNAVAILABLE. */
export async function startTftp(options: TftpServerOptions): Promise<TftpServer> {
  const socket = await open(options.address, options.port)
  /** By the client's address and port. Undefined while its file is looked up. */
  const transfers = new Map<string, Transfer | undefined>()
  socket.on('message', (bytes, source) => {
    void serve(bytes, source, socket, transfers, options).catch((error) => {
      options.log.error({ event: 'tftp-unanswered', from: source.address, reason: String(error) })
    })
  })
  socket.on('error', (error) => options.log.error({ event: 'tftp-socket', reason: error.message }))
  options.log.info({ event: 'tftp-listening', address: options.address, port: socket.address().port })
  return {
    port: socket.address().port,
    async close() {
      const closed = new Promise<void>((resolve) => socket.close(resolve))
      const running = [...transfers.values()].filter((transfer) => transfer !== undefined)
      for (const transfer of running) transfer.stop('the server ends')
      await Promise.all([closed, ...running.map((transfer) => transfer.ended)])
    },
  }
}

async function open(address: string, port: number): Promise<Socket> {
  // Addresses are always literal: answering at once spares a turn of the event loop for each datagram.
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
  const listening = once(socket, 'listening')
  socket.bind(port, address)
  try {
    await listening
  } catch (cause) {
    throw new BootloomError('SOCKET_UNAVAILABLE', (cause as Error).message, { where: `${address}:${port}/udp`, cause })
  }
  return socket
}

/** An answer to what came to the well-known port: a request is served by a socket of its own. */
async function serve(
  bytes: Buffer,
  source: RemoteInfo,
  socket: Socket,
  transfers: Map<string, Transfer | undefined>,
  { address, files, log, onEvent }: TftpServerOptions,
): Promise<void> {
  const refuse = (code: number, message: string) =>
    socket.send(encodeTftp({ op: 'error', code, message }), source.port, source.address, () => {})
  const request = decodeRequest(bytes, log, source.address)
  if (request === undefined) return
  // An ERROR is never answered, and nothing else belongs here: it may be late for a transfer that is over.
  if (request.op !== 'read' && request.op !== 'write') return
  if (request.op === 'write') {
    refuse(tftpErrors.accessViolation, 'this server is for reading only')
    return
  }
  if (request.mode !== 'octet') {
    refuse(tftpErrors.illegalOperation, 'mode octet only')
    return
  }

  const client = `${source.address}:${source.port}`
  // The same request again while it is being served: our answer is on its way, and the transfer repeats it if need be.
  if (transfers.has(client)) return
  const ofOne = [...transfers.keys()].filter((key) => key.startsWith(`${source.address}:`)).length
  if (transfers.size >= most.all || ofOne >= most.ofOne) {
    refuse(tftpErrors.undefined, 'too many transfers, ask again later')
    return
  }
  transfers.set(client, undefined)
  const tell = (type: TftpEvent['type'], sent: number, reason?: string) => {
    const event = { type, client: source.address, file: request.file, bytes: sent, ...(reason && { reason }) }
    onEvent({ ...event, at: Date.now() })
    log.info({ ...event, event: `tftp-${type}` })
  }
  try {
    tell('request', 0)
    const file = await files(request.file, { address: source.address })
    if (!file) {
      tell('refused', 0, 'no such file')
      refuse(tftpErrors.notFound, 'no such file')
      return
    }
    const terms = negotiate(request.options, file.bytes.length)
    const transfer = new Transfer(await open(address, 0), source, file.bytes, terms)
    transfers.set(client, transfer)
    const end = await transfer.ended
    tell(end.result, end.bytes, end.reason)
  } finally {
    transfers.delete(client)
  }
}

function decodeRequest(bytes: Buffer, log: Logger, from: string): TftpPacket | undefined {
  try {
    return decodeTftp(bytes)
  } catch (error) {
    if (!(error instanceof TftpPacketError)) throw error
    log.debug({ event: 'tftp-malformed', from, fault: error.fault, reason: error.message })
    return undefined
  }
}
