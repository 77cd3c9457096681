import { catalogue } from './error-catalogue.ts'

export type ErrorCode = keyof typeof catalogue

interface ErrorContext {
  /** Where it is wrong: a file with line, a path in the settings, a MAC, a URL without credentials. */
  readonly where?: string
  /** More lines for the person: each separate finding, or a program's last lines of output. */
  readonly details?: readonly string[]
  /** Replaces the catalogue's hint where more is known. */
  readonly hint?: string
  readonly cause?: unknown
}

export class BootloomError extends Error {
  readonly code: ErrorCode
  readonly where: string | undefined
  readonly details: readonly string[]
  readonly hint: string

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause })
    this.name = 'BootloomError'
    this.code = code
    this.where = context.where
    this.details = context.details ?? []
    this.hint = context.hint ?? catalogue[code].hint
  }

  get status(): number {
    return catalogue[this.code].status
  }

  get exit(): 1 | 2 {
    return catalogue[this.code].exit
  }

  /** The shape in which errors cross the API: what `--json` prints under `error`. */
  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      ...(this.where === undefined ? {} : { where: this.where }),
      ...(this.details.length === 0 ? {} : { details: this.details }),
      hint: this.hint,
    }
  }

  static fromJSON(error: SerializedError): BootloomError {
    const code = Object.hasOwn(catalogue, error.code) ? (error.code as ErrorCode) : 'INTERNAL'
    return new BootloomError(code, error.message, {
      hint: error.hint,
      ...(error.where === undefined ? {} : { where: error.where }),
      ...(error.details === undefined ? {} : { details: error.details }),
    })
  }
}

export interface SerializedError {
  readonly code: string
  readonly message: string
  readonly where?: string
  readonly details?: readonly string[]
  readonly hint: string
}

/** Any thrown value as a BootloomError; system errors that have a code of their own keep their meaning. */
export function asBootloomError(error: unknown): BootloomError {
  if (error instanceof BootloomError) return error
  const code = (error as NodeJS.ErrnoException | null)?.code
  const message = error instanceof Error ? error.message : String(error)
  if (code === 'EACCES' || code === 'EPERM') return new BootloomError('NOT_PERMITTED', message, { cause: error })
  if (code === 'ENOSPC') return new BootloomError('DISK_FULL', message, { cause: error })
  if (code === 'ENOENT' && (error as NodeJS.ErrnoException).syscall?.startsWith('spawn')) {
    return new BootloomError('TOOL_MISSING', `${(error as NodeJS.ErrnoException).path} is not installed`, {
      cause: error,
    })
  }
  return new BootloomError('INTERNAL', message, { cause: error })
}
