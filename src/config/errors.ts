/**
 * Every error a person can meet, in one place. `docs/reference/errors.md` is generated from this table
 * (`npm run docs`) and a test holds the two together. Retired codes are never reused for something else.
 *
 * `status` is the HTTP status the API answers with; `exit` is the command line's exit status
 * (1: it failed, 2: it was asked wrongly). `hint` says what to do.
 */
interface ErrorKind {
  readonly status: number
  readonly exit: 1 | 2
  readonly meaning: string
  readonly hint: string
}

export const catalogue = {
  USAGE: {
    status: 400,
    exit: 2,
    meaning: 'The command line or the request does not fit what the command takes.',
    hint: 'See `bootloom COMMAND --help` for its options and an example.',
  },
  INTERNAL: {
    status: 500,
    exit: 1,
    meaning: 'Bootloom itself failed in a way it did not foresee.',
    hint: 'Run again with BOOTLOOM_LOG_LEVEL=debug and report what it prints.',
  },
  SETTINGS_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'The settings file, the environment or a flag holds a value that does not fit.',
    hint: 'Mend each line named below; `bootloom config --show` prints what is in force.',
  },
  SETTINGS_UNREADABLE: {
    status: 400,
    exit: 2,
    meaning: 'The settings file cannot be read or is no YAML.',
    hint: 'Check the path given with --config, and the line named.',
  },
  TOOL_MISSING: {
    status: 500,
    exit: 1,
    meaning: 'A program that Bootloom needs is not installed.',
    hint: 'Run `bootloom doctor`: it names the Debian package.',
  },
  COMMAND_FAILED: {
    status: 500,
    exit: 1,
    meaning: 'A program that Bootloom called ended with an error.',
    hint: 'Its last lines of output are below.',
  },
  DIGEST_INVALID: {
    status: 400,
    exit: 2,
    meaning: 'A digest is not of the form sha256: and 64 hexadecimal digits.',
    hint: '`bootloom bundle list` prints the digests of bundles.',
  },
  BLOB_MISSING: {
    status: 404,
    exit: 1,
    meaning: 'The store does not hold a blob that is referred to.',
    hint: 'Run `bootloom repo update` and `bootloom compose NAME` to make it anew.',
  },
  BLOB_CORRUPT: {
    status: 500,
    exit: 1,
    meaning: 'A blob in the store does not have the digest that it is named by.',
    hint: 'Check the disk; remove the blob and run `bootloom repo update` to fetch it again.',
  },
  DISK_FULL: {
    status: 507,
    exit: 1,
    meaning: 'The disk that holds the state directory is full. Nothing half-written was left behind.',
    hint: 'Free some space, then run the same command again: it goes on where it stopped.',
  },
  REDIS_UNREACHABLE: {
    status: 503,
    exit: 1,
    meaning: 'Redis does not answer.',
    hint: 'Check redis.url in the settings, or that redis-server is installed and the state directory writable.',
  },
} as const satisfies Record<string, ErrorKind>

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
    const code = error.code in catalogue ? (error.code as ErrorCode) : 'INTERNAL'
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
  if (code === 'ENOSPC') return new BootloomError('DISK_FULL', message, { cause: error })
  if (code === 'ENOENT' && (error as NodeJS.ErrnoException).syscall?.startsWith('spawn')) {
    return new BootloomError('TOOL_MISSING', `${(error as NodeJS.ErrnoException).path} is not installed`, {
      cause: error,
    })
  }
  return new BootloomError('INTERNAL', message, { cause: error })
}
