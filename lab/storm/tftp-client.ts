import { createSocket } from 'node:dgram'
import { decodeTftp, encodeTftp, type TftpPacket } from '../../src/tftp/packet.ts'
import { StageFailure } from './plan.ts'

const longest = 64 * 1024 * 1024
/** Seconds until the last packet is sent again, as iPXE does. */
const retries = [0.25, 0.5, 1, 2, 4, 8]

/** Fetches a file as iPXE does (RFC 1350, blksize 1432 and tsize), from the node's own address. Returns its bytes. */
export function fetchByTftp(from: string, server: string, file: string): Promise<number> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
  return new Promise<number>((resolve, reject) => {
    let port = 69
    let blockSize = 512
    let block = 0
    let bytes = 0
    let attempt = 0
    let timer: NodeJS.Timeout | undefined
    let last: Buffer = encodeTftp({
      op: 'read',
      file,
      mode: 'octet',
      options: new Map([
        ['blksize', '1432'],
        ['tsize', '0'],
      ]),
    })
    const end = (reason?: string) => {
      clearTimeout(timer)
      socket.close()
      if (reason === undefined) resolve(bytes)
      else reject(new StageFailure('tftp', reason))
    }
    const transmit = () => {
      clearTimeout(timer)
      const pause = retries[attempt]
      if (pause === undefined) {
        end(`no answer for block ${block + 1} of ${file}`)
        return
      }
      socket.send(last, port, server, () => {})
      timer = setTimeout(() => {
        attempt++
        transmit()
      }, pause * 1000)
    }
    const answer = (packet: TftpPacket) => {
      last = encodeTftp(packet)
      attempt = 0
      transmit()
    }
    socket.on('error', (error) => end(error.message))
    socket.on('message', (message, source) => {
      if (source.address !== server || (port !== 69 && source.port !== port)) return
      let packet: TftpPacket
      try {
        packet = decodeTftp(message)
      } catch {
        return
      }
      if (packet.op === 'error') return end(`${packet.code} ${packet.message}`)
      if (packet.op === 'options' && block === 0) {
        port = source.port
        blockSize = Number(packet.options.get('blksize') ?? blockSize)
        answer({ op: 'ack', block: 0 })
      } else if (packet.op === 'data' && packet.block === ((block + 1) & 0xffff)) {
        port = source.port
        block++
        bytes += packet.bytes.length
        answer({ op: 'ack', block: block & 0xffff })
        if (packet.bytes.length < blockSize) end()
        else if (bytes > longest) end(`${file} does not end`)
      }
    })
    socket.bind(0, from, transmit)
  })
}
