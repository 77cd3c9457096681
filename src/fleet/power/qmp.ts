import { BootloomError } from '../../config/errors.ts'
import { qmp } from '../../machine/qmp.ts'
import type { PowerLogin } from '../../state/power-logins.ts'
import type { PowerAction, PowerDriver } from './power.ts'

/**
 * A virtual machine of QEMU by its monitor: `qmp:///PATH/OF/SOCKET`. One that stands still at its reset is off: a
 * process that ended could not be switched on again.
 */
export function qmpPower(url: URL, _login: PowerLogin | undefined): PowerDriver {
  const socket = decodeURIComponent(url.pathname)
  const ask = async (command: Parameters<typeof qmp>[1]): Promise<unknown> => {
    try {
      return await qmp(socket, command)
    } catch (error) {
      throw new BootloomError('POWER_FAILED', (error as Error).message, { where: socket, cause: error })
    }
  }
  const orders: Readonly<Record<PowerAction, readonly Parameters<typeof qmp>[1][]>> = {
    on: ['cont'],
    off: ['stop', 'system_reset'],
    cycle: ['system_reset', 'cont'],
  }
  return {
    status: async () => (((await ask('query-status')) as { running: boolean }).running ? 'on' : 'off'),
    async act(action) {
      for (const command of orders[action]) await ask(command)
    },
  }
}
