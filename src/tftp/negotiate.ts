import type { TftpOptions } from './packet.ts'

/** How a transfer goes, after the client's wishes. */
export interface Terms {
  /** Bytes of a block. */
  readonly blockSize: number
  /** Blocks sent before an acknowledgement is awaited (RFC 7440). */
  readonly window: number
  /** Milliseconds until a retransmission at most, where the client named them. */
  readonly timeout?: number
  /** What is confirmed to the client by an OACK; empty: none is sent. */
  readonly accepted: TftpOptions
}

const defaults = { blockSize: 512, window: 1 }
/** Larger windows gain nothing on a LAN, and each datagram of one is an answer that a forged request could provoke. */
const widest = { blocks: 64, bytes: 512 * 1024 }

/**
 * Reads the options of RFC 2348, 2349 and 7440. One that is unknown or out of its range is left out of the answer.
 * `size` is what the client will have received at the end; `largestBlock` what a block is held to.
 */
export function negotiate(options: TftpOptions, size: number, largestBlock: number): Terms {
  const accepted = new Map<string, string>()
  const accept = (name: string, least: number, most: number, limit = most): number | undefined => {
    const text = options.get(name)
    if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most) return undefined
    const value = Math.min(Number(text), limit)
    accepted.set(name, String(value))
    return value
  }
  const blockSize = accept('blksize', 8, 65464, largestBlock) ?? defaults.blockSize
  const seconds = accept('timeout', 1, 255)
  const mostBlocks = Math.max(1, Math.min(widest.blocks, Math.floor(widest.bytes / blockSize)))
  const window = accept('windowsize', 1, 65535, mostBlocks) ?? defaults.window
  // A client sends 0 and is told the size; what else it sends says nothing.
  if (options.has('tsize')) accepted.set('tsize', String(size))
  return { blockSize, window, ...(seconds === undefined ? {} : { timeout: seconds * 1000 }), accepted }
}
