import type { TftpOptions } from './packet.ts'

/** How a transfer goes, after the client's wishes. */
export interface Terms {
  /** Bytes of a block. */
  readonly blockSize: number
  /** Blocks sent before an acknowledgement is awaited (RFC 7440). */
  readonly window: number
  /** Milliseconds until the first retransmission. */
  readonly timeout: number
  /** What is confirmed to the client by an OACK; empty: none is sent. */
  readonly accepted: TftpOptions
}

const defaults = { blockSize: 512, window: 1, timeout: 1000 }
/** Larger windows gain nothing on a LAN, and each datagram of one is an answer that a forged request could provoke. */
const widestWindow = 64

/** Reads the options of RFC 2348, 2349 and 7440. One that is unknown or out of its range is left out of the answer. */
export function negotiate(options: TftpOptions, size: number): Terms {
  const accepted = new Map<string, string>()
  const accept = (name: string, least: number, most: number, limit = most): number | undefined => {
    const text = options.get(name)
    if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most) return undefined
    const value = Math.min(Number(text), limit)
    accepted.set(name, String(value))
    return value
  }
  const blockSize = accept('blksize', 8, 65464) ?? defaults.blockSize
  const seconds = accept('timeout', 1, 255)
  const window = accept('windowsize', 1, 65535, widestWindow) ?? defaults.window
  // A client sends 0 and is told the size; what else it sends says nothing.
  if (options.has('tsize')) accepted.set('tsize', String(size))
  return { blockSize, window, timeout: seconds === undefined ? defaults.timeout : seconds * 1000, accepted }
}
