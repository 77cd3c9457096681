import { asBootloomError } from '../config/errors.ts'
import { createLogger } from '../config/log.ts'
import { type Context, openContext } from './context.ts'
import { perform } from './jobs.ts'
import type { FromWorkshop, ToWorkshop } from './workshop.ts'

/** The workshop's own process: takes jobs over the IPC channel and ends when the channel closes. */

let context: Promise<Context> | undefined
const aborts = new Map<number, AbortController>()

const answer = (message: FromWorkshop): void => void process.send?.(message)

process.on('message', async (message: ToWorkshop) => {
  if ('settings' in message) {
    context = openContext(message.settings, createLogger(message.settings.log))
    context.catch(() => {})
    return
  }
  if ('abort' in message) {
    aborts.get(message.abort)?.abort()
    return
  }
  const { run, job } = message
  const abort = new AbortController()
  aborts.set(run, abort)
  try {
    const result = await perform(await context!, job, (progress) => answer({ run, progress }), abort.signal)
    answer({ run, result })
  } catch (error) {
    answer({ run, error: asBootloomError(error).toJSON() })
  } finally {
    aborts.delete(run)
  }
})

process.on('disconnect', async () => {
  for (const abort of aborts.values()) abort.abort()
  await (await context?.catch(() => undefined))?.close()
  process.exit(0)
})

// A terminal's Ctrl-C reaches the whole group: the server decides when its workshop ends.
process.on('SIGINT', () => {})
