import { Listr } from 'listr2'
import colors from 'picocolors'
import type { OnProgress, Progress } from '../src/config/progress.ts'

/** How a scenario tells what it does: live on a terminal, a line at a time elsewhere. */
export interface Telling {
  /** One step of work; `done` makes the words that stay behind it. */
  step<T>(title: string, work: (progress: OnProgress) => Promise<T>, done?: (result: T) => string): Promise<T>
  line(text: string): void
}

export const tell = (): Telling => (process.stdout.isTTY ? live : plain)

const live: Telling = {
  async step(title, work, done) {
    let result: Awaited<ReturnType<typeof work>> | undefined
    const began = Date.now()
    await new Listr(
      [
        {
          title,
          task: async (_context, task) => {
            result = await work((event) => {
              task.output = progressLine(event)
            })
            task.title = ended(title, began, done?.(result))
          },
        },
      ],
      // Ctrl-C is ours: it takes the lab down first.
      { registerSignalListeners: false },
    ).run()
    return result as Awaited<ReturnType<typeof work>>
  },
  line: (text) => console.log(text),
}

const plain: Telling = {
  async step(title, work, done) {
    const began = Date.now()
    console.log(`- ${title}`)
    let shown = ''
    const result = await work(({ step, detail }) => {
      if (step !== shown) console.log(`    ${step}${detail === undefined ? '' : `: ${detail}`}`)
      shown = step
    })
    console.log(`  ${ended(title, began, done?.(result))}`)
    return result
  },
  line: (text) => console.log(text),
}

const ended = (title: string, began: number, words: string | undefined) =>
  `${title}${words === undefined ? '' : `: ${words}`} ${colors.dim(`(${seconds(Date.now() - began)})`)}`

/** Milliseconds as `3.4 s`. */
export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`

const barWidth = 24

function progressLine({ step, detail, fraction }: Progress): string {
  const words = detail === undefined ? step : `${step} ${colors.dim(detail)}`
  if (fraction === undefined) return words
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * barWidth)
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${Math.round(fraction * 100)} % ${words}`
}
