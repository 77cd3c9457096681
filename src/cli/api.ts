import { join } from 'node:path'
import type { Command } from 'commander'
import { BootloomError } from '../config/errors.ts'
import { type LoadedSettings, loadSettings } from '../config/load.ts'
import { createLogger } from '../config/log.ts'
import type { OnProgress } from '../config/progress.ts'
import type { Settings } from '../config/settings.ts'
import { listens } from '../config/unix-socket.ts'
import { globalsOf } from './command.ts'
import { showProgress } from './progress.ts'

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** The admin API as the commands use it; its errors come back as BootloomError. */
export interface Api {
  get<T>(path: string): Promise<T>
  send<T>(method: Method, path: string, body?: unknown): Promise<T>
  /** Long work: its progress is shown, Ctrl-C ends it, by what is given where that needs more than to hang up. */
  job<T>(path: string, body: unknown, onInterrupt?: () => Promise<unknown>): Promise<T>
  follow(path: string, onLine: (line: unknown) => void): Promise<void>
}

/** The settings as this command line gives them. */
export function settingsOf(command: Command, more: { interface?: string; serving?: boolean } = {}): LoadedSettings {
  const { config, state } = globalsOf(command)
  return loadSettings({ flags: { config, state, interface: more.interface }, serving: more.serving ?? false })
}

/**
 * Calls the admin API on the state directory's socket. When no server listens there, the same API runs in this process
 * for as long as the command does: what a command does is the same with and without a server.
 */
export async function withApi<T>(command: Command, use: (api: Api) => Promise<T>): Promise<T> {
  const settings = quietly(settingsOf(command))
  const socket = join(settings.state, 'api.sock')
  const { ApiClient } = await import('../http/api-client.ts')
  const control = (await listens(socket)) ? undefined : await startHere(settings)
  const client = new ApiClient(socket)
  const interrupt = interruption()
  try {
    return await use({
      get: (path) => client.request('GET', path),
      send: (method, path, body) => client.request(method, path, body),
      job: (path, body, onInterrupt) =>
        shown(command, (onProgress) => {
          if (!onInterrupt) return client.job('POST', path, body, onProgress, interrupt.signal)
          const refused = Promise.withResolvers<never>()
          interrupt.signal.addEventListener('abort', () => onInterrupt().catch(refused.reject), { once: true })
          return Promise.race([client.job<never>('POST', path, body, onProgress), refused.promise])
        }),
      follow: (path, onLine) => client.follow(path, onLine, interrupt.signal),
    })
  } finally {
    interrupt.end()
    await client.close()
    await control?.close()
  }
}

async function startHere(settings: Settings): Promise<{ close(): Promise<void> } | undefined> {
  const { startControl } = await import('../http/control.ts')
  try {
    return await startControl(settings, createLogger(settings.log))
  } catch (error) {
    // Another command was a moment faster: its API serves this one, too.
    if (error instanceof BootloomError && error.code === 'API_IN_USE') return undefined
    throw error
  }
}

/** A command prints its result, not a server's log, unless the settings ask for a log. */
function quietly({ settings, origin }: LoadedSettings): Settings {
  return origin(['log', 'level']) === 'default' ? { ...settings, log: { level: 'error' } } : settings
}

async function shown<T>(command: Command, work: (onProgress: OnProgress) => Promise<T>): Promise<T> {
  const view = showProgress(command)
  try {
    return await work(view.show)
  } finally {
    view.end()
  }
}

/** The first Ctrl-C asks the work to end and clean up; a second one ends this process at once. */
function interruption(): { signal: AbortSignal; end(): void } {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    end: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  }
}
