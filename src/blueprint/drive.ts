/**
 * A program of its own: drives an application from inside its network namespace (`nsenter --net=… node drive.ts`).
 * Reads one JSON request a line on standard input and answers each with one line of JSON; ends with its input.
 */
import { createInterface } from 'node:readline'
import { exchange, type NetworkProbe } from './exchange.ts'

interface Request {
  readonly step: NetworkProbe
  /** Milliseconds. */
  readonly timeout: number
}

for await (const line of createInterface({ input: process.stdin })) {
  const { step, timeout } = JSON.parse(line) as Request
  process.stdout.write(`${JSON.stringify(await exchange(step, '127.0.0.1', timeout))}\n`)
}
