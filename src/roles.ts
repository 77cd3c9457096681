import type { Logger } from './config/log.ts'
import type { Settings } from './config/settings.ts'

/** `boot` answers nodes, `control` answers admins and does the work (docs/decisions/0003). */
export type Role = 'boot' | 'control' | 'all'

interface Server {
  close(): Promise<void>
}

/** Starts what the role asks for, and loads no more than that; when one part cannot start, none stays. */
export async function startServer(settings: Settings, role: Role, log: Logger): Promise<Server> {
  const boot = role === 'control' ? undefined : await import('./serve.ts')
  boot?.ensureBootSockets(settings)
  const parts: Server[] = []
  const close = async () => {
    for (const part of parts.reverse()) await part.close()
  }
  try {
    if (role !== 'boot') {
      const { startControl } = await import('./http/control.ts')
      parts.push(await startControl(settings, log, { watching: true }))
    }
    if (boot) parts.push(await boot.startBoot(settings, log))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}
