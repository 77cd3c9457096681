import type { Command } from 'commander'
import colors from 'picocolors'
import type { StoredEvent } from '../state/events.ts'
import { withApi } from './api.ts'
import { addCommand, globalsOf } from './command.ts'
import { timeText } from './output.ts'

export function addEvents(program: Command): void {
  addCommand(program, {
    words: 'events',
    description: 'Print what happened last; with --json one JSON object a line.',
    example: 'bootloom events --follow',
  })
    .option('--follow', 'go on with what happens from now on, until Ctrl-C')
    .action(async (options: { follow?: true }, command: Command) => {
      const json = globalsOf(command).json === true
      const print = (event: unknown) =>
        void process.stdout.write(`${json ? JSON.stringify(event) : render(event as StoredEvent)}\n`)
      await withApi(command, async (api) => {
        if (options.follow) return api.follow('/v1/events?follow=1', print)
        for (const event of await api.get<readonly StoredEvent[]>('/v1/events')) print(event)
      })
    })
}

function render({ id: _id, at, event, ...fields }: StoredEvent): string {
  const words = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return `${colors.dim(`${name}=`)}${text}`
  })
  return `${colors.dim(timeText(at))} ${event} ${words.join(' ')}`.trimEnd()
}
