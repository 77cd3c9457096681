import { type Logger, pino } from 'pino'

export type { Logger }

/** Values under these names never reach a log line, whoever puts them there. */
const secretFields = ['password', 'token', 'secret', 'authorization', 'key']

/** Logs are events with fields, one JSON object a line on standard error; people read the CLI, not the log. */
export function createLogger(settings: { level: string }): Logger {
  return pino(
    {
      level: settings.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}

export const silent: Logger = pino({ level: 'silent' })
