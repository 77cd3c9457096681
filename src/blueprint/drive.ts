/**
 * A program of its own: drives an application from inside a network namespace (`nsenter --net=… node drive.ts`).
 * Reads one JSON request a line on standard input and answers each with one line of JSON; ends with its input.
 */
import { createInterface } from 'node:readline'
import { exchange, type NetworkProbe } from './exchange.ts'

interface Request {
  readonly step: NetworkProbe
  /** Where the application is; the namespace's own loopback unless named. */
  readonly host?: string
  /** Milliseconds. */
  readonly timeout: number
}

for await (const line of createInterface({ input: process.stdin })) {
  const { step, host = '127.0.0.1', timeout } = JSON.parse(line) as Request
  process.stdout.write(`${JSON.stringify(await exchange(step, host, timeout))}\n`)
}
