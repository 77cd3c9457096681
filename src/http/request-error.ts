import { asBootloomError, BootloomError } from '../config/errors.ts'
import { isRedisAway } from '../state/record.ts'

/** A client's error of any origin with a code of ours. */
export function requestError(error: unknown): BootloomError {
  if (isRedisAway(error)) return new BootloomError('REDIS_UNREACHABLE', 'Redis does not answer', { cause: error })
  const status = (error as { statusCode?: number } | null)?.statusCode
  if (!(error instanceof BootloomError) && status !== undefined && status >= 400 && status < 500) {
    return new BootloomError('USAGE', (error as Error).message, { cause: error })
  }
  return asBootloomError(error)
}
