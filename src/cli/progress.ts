import type { Command } from 'commander'
import colors from 'picocolors'
import type { OnProgress, Progress } from '../config/progress.ts'
import { globalsOf } from './command.ts'

const barWidth = 24
const intervalMs = 80

interface ProgressView {
  readonly show: OnProgress
  /** Takes the running line away, before the result is printed. */
  end(): void
}

/** Long work on standard error: one line rewritten in place on a terminal, a line a step elsewhere, nothing with --json. */
export function showProgress(command: Command): ProgressView {
  if (globalsOf(command).json) return { show: () => {}, end: () => {} }
  return process.stderr.isTTY ? liveLine() : plainLines()
}

function liveLine(): ProgressView {
  let shownAt = 0
  let step = ''
  const clear = () => process.stderr.write('\r\u001b[K')
  return {
    show(event) {
      if (event.step === 'touched') {
        clear()
        process.stderr.write(`${event.detail}\n`)
        return
      }
      const now = Date.now()
      if (event.step === step && event.fraction !== 1 && now - shownAt < intervalMs) return
      if (step !== '' && event.step !== step) process.stderr.write(`\r\u001b[K${colors.green('✓')} ${step}\n`)
      step = event.step
      shownAt = now
      clear()
      process.stderr.write(oneLine(event, process.stderr.columns || 80))
    },
    end() {
      if (step !== '') clear()
    },
  }
}

function oneLine(event: Progress, columns: number): string {
  const bar = event.fraction === undefined ? '' : ` ${barText(event.fraction)}`
  const room = Math.max(0, columns - event.step.length - bar.length - 4)
  const detail = event.detail === undefined || room < 4 ? '' : ` ${event.detail.slice(0, room)}`
  return `${colors.cyan('•')} ${event.step}${bar}${colors.dim(detail)}`
}

function barText(fraction: number): string {
  const whole = Math.max(0, Math.min(1, fraction))
  const filled = Math.round(whole * barWidth)
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${String(Math.round(whole * 100)).padStart(3)} %`
}

function plainLines(): ProgressView {
  let step = ''
  return {
    show(event) {
      if (event.step === 'touched') process.stderr.write(`${event.detail}\n`)
      if (event.step === step || event.step === 'touched') return
      step = event.step
      process.stderr.write(`${event.step}${event.detail === undefined ? '' : `: ${event.detail}`}\n`)
    },
    end() {},
  }
}
