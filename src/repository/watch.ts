import { once } from 'node:events'

/** Milliseconds without a change after which a tree has settled. */
const quiet = 150

/**
 * Calls `onSettled` once after each burst of changes below `path`, until the signal aborts. Resolves when the watch is
 * in force: what changes after that is seen. Symlinks are not followed.
 */
export async function watchTree(path: string, onSettled: () => void, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { watch } = await import('chokidar')
  const watcher = watch(path, { ignoreInitial: true, followSymlinks: false, ignorePermissionErrors: true })
  let timer: NodeJS.Timeout | undefined
  signal.addEventListener('abort', () => {
    clearTimeout(timer)
    void watcher.close()
  })
  watcher.on('all', () => {
    clearTimeout(timer)
    timer = setTimeout(onSettled, quiet)
  })
  await once(watcher, 'ready', { signal })
}
