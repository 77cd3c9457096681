import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import type { PowerLogin } from '../../state/power-logins.ts'
import type { PowerAction, PowerDriver } from './power.ts'

/** Milliseconds for one command: ipmitool itself asks a silent controller four times. */
const patience = 30_000

/**
 * A baseboard management controller by ipmitool: `ipmi://HOST[:PORT]`, `?cipher=3` for those that take no newer cipher
 * suite than that. The password goes by the environment (`-E`): arguments are for everybody on the machine to read.
 */
export function ipmi(url: URL, login: PowerLogin | undefined): PowerDriver {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const cipher = url.searchParams.get('cipher')
  const words = [
    ...['-I', 'lanplus', '-H', host, '-p', url.port || '623', '-N', '2', '-R', '4'],
    ...(cipher && /^\d{1,2}$/.test(cipher) ? ['-C', cipher] : []),
    ...['-U', login?.user ?? '', '-E'],
  ]
  const ask = async (...asked: string[]): Promise<string> => {
    try {
      return await run('ipmitool', [...words, ...asked], {
        env: { IPMI_PASSWORD: login?.password ?? '' },
        timeout: patience,
      })
    } catch (error) {
      if (!(error instanceof BootloomError) || error.code !== 'COMMAND_FAILED') throw error
      // Not its cause: that holds the environment.
      throw new BootloomError('POWER_FAILED', `ipmitool could not do '${asked.join(' ')}'`, {
        where: url.host,
        details: error.details,
      })
    }
  }
  const status = async () => ((await ask('chassis', 'power', 'status')).includes('is on') ? 'on' : 'off')
  return {
    status,
    async act(action: PowerAction) {
      // `cycle` does nothing on a machine that is off (IPMI 2.0 §28.3).
      const asked = action === 'cycle' && (await status()) === 'off' ? 'on' : action
      await ask('chassis', 'power', asked)
    },
  }
}
