import { request } from 'node:http'
import { createConnection } from 'node:net'
import { type Answer, answerOf } from './answer.ts'
import type { Probe } from './step-schema.ts'

/** What came of one request to the application. */
export interface Outcome {
  readonly ok: boolean
  /** For people: what was answered, or what went wrong. */
  readonly detail: string
  /** What was answered, to compare runs by; absent where nothing was. */
  readonly answer?: Answer
}

export type NetworkProbe = Exclude<Probe, { command: unknown }>
/** A program that is run beside the application. */
export type CommandProbe = Extract<Probe, { command: unknown }>

/** More of an answer than this is neither read nor searched. */
const maximumAnswer = 1024 * 1024
/** How long an answer that nothing is expected of is waited for, in milliseconds. */
const quiet = 300

/** Sends one probe to the application at `host` and checks the answer. Never throws; `timeout` in milliseconds. */
export function exchange(step: NetworkProbe, host: string, timeout: number): Promise<Outcome> {
  return 'http' in step ? askHttp(step, host, timeout) : askTcp(step, host, timeout)
}

/** What a command's end says of the expectation. Shared by the watched run and whoever else runs commands. */
export function checkCommand(step: CommandProbe, exit: number | undefined, output: string): Outcome {
  if (exit !== step.expect.exit) return { ok: false, detail: `exit status ${exit ?? 'none'}: ${shown(output)}` }
  return { ...contains(step.expect.contains, output, `exit status ${exit}`), answer: answerOf(`exit ${exit}`, output) }
}

function askHttp(step: Extract<NetworkProbe, { http: unknown }>, host: string, timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeout)
    const fail = (error: Error) =>
      resolve({ ok: false, detail: signal.aborted ? `no answer within ${timeout} ms` : error.message })
    const asked = request({ host, port: step.port, path: step.http, agent: false, signal }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        if (size < maximumAnswer) chunks.push(chunk)
        size += chunk.length
      })
      response.on('error', fail)
      response.on('end', () => {
        const bytes = Buffer.concat(chunks)
        const body = bytes.toString('utf8')
        const said = `HTTP ${response.statusCode}, ${size} bytes`
        if (response.statusCode !== step.expect.status) resolve({ ok: false, detail: `${said}: ${shown(body)}` })
        else {
          const { 'content-type': type, location } = response.headers
          const status = [response.statusCode, type, location].filter(Boolean).join(' ')
          resolve({ ...contains(step.expect.contains, body, said), answer: answerOf(status, bytes) })
        }
      })
    })
    asked.on('error', fail)
    asked.end()
  })
}

function askTcp(step: Extract<NetworkProbe, { tcp: unknown }>, host: string, timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    let answer = ''
    const connection = createConnection({ host, port: step.tcp })
    const settle = (outcome: Outcome) => {
      clearTimeout(timer)
      connection.destroy()
      // How much of an answer has arrived by now is up to the network, but for its first line.
      resolve({ ...outcome, answer: answerOf('tcp', answer.slice(0, answer.search(/\r?\n|$/))) })
    }
    const timer = setTimeout(() => settle(late(step.expect, answer, timeout)), timeout)
    connection.on('connect', () => {
      if (step.send !== undefined) connection.write(step.send)
      if (step.expect !== undefined) return
      if (step.send === undefined) settle({ ok: true, detail: 'connected' })
      else setTimeout(() => settle({ ok: true, detail: `answered ${answer.length} bytes` }), quiet)
    })
    connection.on('data', (chunk: Buffer) => {
      if (answer.length < maximumAnswer) answer += chunk.toString('utf8')
      if (step.expect !== undefined && answer.includes(step.expect)) settle(contains(step.expect, answer, 'answered'))
    })
    connection.on('end', () => settle(contains(step.expect, answer, 'closed the connection')))
    connection.on('error', (error) => settle({ ok: false, detail: error.message }))
  })
}

const late = (expected: string | undefined, answer: string, timeout: number): Outcome => ({
  ok: false,
  detail:
    answer === ''
      ? `no answer within ${timeout} ms`
      : `the answer does not hold ${JSON.stringify(expected)}: ${shown(answer)}`,
})

function contains(expected: string | undefined, answer: string, said: string): Outcome {
  if (expected === undefined || answer.includes(expected)) return { ok: true, detail: said }
  return { ok: false, detail: `${said}, without ${JSON.stringify(expected)}: ${shown(answer)}` }
}

/** The beginning of an answer, on one line. */
const shown = (answer: string): string => JSON.stringify(answer.trim().slice(0, 160))
