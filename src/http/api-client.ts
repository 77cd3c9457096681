import { createInterface } from 'node:readline'
import { Agent, type Dispatcher, request as send } from 'undici'
import { BootloomError, type SerializedError } from '../config/errors.ts'
import type { OnProgress, Progress } from '../config/progress.ts'

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

type JobLine<T> = { progress: Progress } | { result: T } | { error: SerializedError }

/** The admin API over the state directory's Unix socket. Its errors come back as the BootloomError that they were. */
export class ApiClient {
  readonly #socket: string
  readonly #agent: Agent

  constructor(socket: string) {
    this.#socket = socket
    // Jobs and events may be silent for long: no time limit on an answer.
    this.#agent = new Agent({ connect: { socketPath: socket }, headersTimeout: 0, bodyTimeout: 0 })
  }

  async request<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const answer = await this.#send(method, path, body)
    return (await answer.body.json().catch(() => undefined)) as T
  }

  /** Long work: resolves with its result when it is done. The signal makes the server stop it. */
  async job<T>(method: Method, path: string, body: unknown, onProgress: OnProgress, signal?: AbortSignal): Promise<T> {
    for await (const line of this.#lines(await this.#send(method, path, body, signal), signal)) {
      const said = line as JobLine<T>
      if ('progress' in said) onProgress(said.progress)
      else if ('error' in said) throw BootloomError.fromJSON(said.error)
      else return said.result
    }
    throw new BootloomError('SERVER_NOT_RUNNING', 'the server ended before the work was done', { where: this.#socket })
  }

  /** Calls `onLine` with each JSON line until the signal or the server ends it. */
  async follow(path: string, onLine: (line: unknown) => void, signal?: AbortSignal): Promise<void> {
    try {
      for await (const line of this.#lines(await this.#send('GET', path, undefined, signal), signal)) onLine(line)
    } catch (error) {
      if (!signal?.aborted) throw error
    }
  }

  /** Ends the connections; an idle client does not keep the process alive without it either. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #send(method: Method, path: string, body?: unknown, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    const answer = await send(`http://localhost${path}`, {
      method,
      dispatcher: this.#agent,
      ...(signal === undefined ? {} : { signal }),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    }).catch((error: unknown) => {
      throw this.#away(error)
    })
    if (answer.statusCode < 400) return answer
    const failed = (await answer.body.json().catch(() => ({}))) as { error?: SerializedError }
    if (failed.error) throw BootloomError.fromJSON(failed.error)
    throw new BootloomError('INTERNAL', `the server answered with status ${answer.statusCode}`, { where: path })
  }

  async *#lines({ body }: Dispatcher.ResponseData, signal?: AbortSignal): AsyncGenerator<unknown> {
    const failed = new Promise<never>((_resolve, reject) => body.once('error', (error) => reject(this.#away(error))))
    failed.catch(() => {})
    const lines = createInterface({ input: body, crlfDelay: Infinity })[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await Promise.race([lines.next(), failed])
      signal?.throwIfAborted()
      if (done) return
      if (value !== '') yield JSON.parse(value)
    }
  }

  #away(error: unknown): unknown {
    const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
    if (!['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(code)) return error
    return new BootloomError('SERVER_NOT_RUNNING', 'no server answers', { where: this.#socket, cause: error })
  }
}
