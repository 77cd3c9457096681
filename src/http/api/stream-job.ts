import type { FastifyReply } from 'fastify'
import { asBootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'

/**
 * Runs long work for a client that watches: one JSON object a line, `{"progress": …}` while it runs, then `{"result": …}`
 * or `{"error": …}`. The signal aborts when the client goes away.
 */
export async function streamJob<T>(
  reply: FastifyReply,
  work: (progress: OnProgress, signal: AbortSignal) => Promise<T>,
): Promise<FastifyReply> {
  const gone = new AbortController()
  const { raw } = reply.hijack()
  raw.once('close', () => gone.abort())
  raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  const line = (value: unknown) => void raw.write(`${JSON.stringify(value)}\n`)
  try {
    // Progress that a slow client has no use for any more is left out; the result never is.
    const result = await work((progress) => raw.writableNeedDrain || line({ progress }), gone.signal)
    line({ result: result ?? null })
  } catch (error) {
    line({ error: asBootloomError(error).toJSON() })
  }
  raw.end()
  return reply
}
