import type { Command } from 'commander'
import type { Currency } from '../fleet/currency.ts'
import type { NodeRecord, Sighting } from '../state/nodes.ts'
import type { PendingPatch } from '../state/pending.ts'
import type { Pin } from '../state/pins.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { currencyText, pendingText } from './currency.ts'
import { optionsFrom } from './dhcp-options.ts'
import { addNodeDrift } from './node-drift.ts'
import { addNodePower, sendPowerLogin } from './node-power.ts'
import { printResult, remark, table, timeText } from './output.ts'
import { pinText } from './pin.ts'
import { assignmentText, type NodeDetails, renderNode } from './timeline.ts'
import { sendUserData } from './user-data.ts'

/** Machines that were merely seen are listed, too. */
type NodeRow = NodeRecord &
  Pick<Sighting, 'lastSeen'> & {
    /** Milliseconds since 1970: when it last asked what it is to do. */
    readonly heardAt?: number
    readonly currency?: Currency
    /** Of the blueprint that it is assigned. */
    readonly pins?: readonly Pin[]
    /** What a change has found for that blueprint, and not brought to it. */
    readonly pending?: readonly PendingPatch[]
  }

interface SetOptions {
  readonly blueprint?: string
  readonly channel?: string
  readonly bundle?: string
  readonly hostname?: string
  readonly group?: readonly string[]
  readonly userData?: string
  readonly option?: readonly string[] | false
  readonly power?: string
  readonly powerLogin?: string
}

const nodePath = (mac: string): string => `/v1/nodes/${encodeURIComponent(mac)}`

export function addNode(program: Command): void {
  const node = addNoun(program, 'node', 'Machines, known by their MAC address, and what they boot.')

  addCommand(node, {
    words: 'set <mac>',
    description: 'Make a node known and say what it boots.',
    example: 'bootloom node set 52:54:00:aa:00:01 --blueprint apache',
  })
    .option('--blueprint <name>', 'the blueprint that it boots')
    .option('--channel <channel>', 'the channel of the blueprint: stable or candidate')
    .option('--bundle <digest>', 'one bundle instead of a channel, by its digest or its first digits')
    .option('--hostname <name>', 'its host name')
    .option('--group <name...>', 'groups that it belongs to')
    .option('--user-data <file>', 'what cloud-init, Ignition and the like get on it; an empty file takes it away')
    .option('--option <name=value...>', 'DHCP options of its own, in place of those that it had')
    .option('--no-option', 'no DHCP options of its own any more')
    .option(
      '--power <url>',
      'its power controller: ipmi://HOST, redfish://HOST, qmp:///SOCKET; an empty one takes it away',
    )
    .option('--power-login <file>', 'a file with the login of it, as USER:PASSWORD; an empty file takes it away')
    .action(async (mac: string, options: SetOptions, command: Command) => {
      const { group, option, userData, powerLogin, ...rest } = options
      const body = {
        ...rest,
        ...(group === undefined ? {} : { groups: group }),
        ...(option === undefined ? {} : { options: optionsFrom(option || []) }),
      }
      const result = await withApi(command, async (api) => {
        const record = await api.send<unknown>('PUT', nodePath(mac), body)
        if (userData !== undefined) await sendUserData(api, nodePath(mac), userData)
        if (powerLogin !== undefined) await sendPowerLogin(api, nodePath(mac), powerLogin)
        return record
      })
      const target = options.blueprint ? ` boots ${options.blueprint} from its next start on` : ' is known'
      await printResult(command, result ?? body, () => `${mac}${target}`)
    })

  addCommand(node, { words: 'list', description: 'List the nodes.', example: 'bootloom node list' }).action(
    async (_options: unknown, command: Command) => {
      const nodes = await withApi(command, (api) => api.get<readonly NodeRow[]>('/v1/nodes'))
      if (nodes.length === 0) remark(command, 'No node yet: `bootloom node set MAC --blueprint NAME` makes one known.')
      await printResult(command, nodes, (rows) =>
        table(
          ['mac', 'hostname', 'boots', 'bundle', 'runs', '>age', 'state', 'pending', 'pins', 'groups', 'last seen'],
          rows.map(nodeCells),
        ),
      )
    },
  )

  addCommand(node, {
    words: 'show <mac>',
    description: 'Show a node and the timeline of its last boot, from the first DISCOVER to ready.',
    example: 'bootloom node show 52:54:00:aa:00:01',
  })
    .option('--boots <count>', 'how many boots to show, newest first', '1')
    .action(async (mac: string, options: { boots: string }, command: Command) => {
      const details = await withApi(command, (api) => api.get<NodeDetails>(nodePath(mac)))
      await printResult(command, details, (value) => renderNode(value, Number(options.boots) || 1))
    })

  addNodePower(node)
  addNodeDrift(node)

  addCommand(node, {
    words: 'unset <mac>',
    description: 'Forget a node and its assignment; it is then handled as the setting `unknown` says.',
    example: 'bootloom node unset 52:54:00:aa:00:01',
  }).action(async (mac: string, _options: unknown, command: Command) => {
    await withApi(command, (api) => api.send('DELETE', nodePath(mac)))
    await printResult(command, { mac, forgotten: true }, () => `${mac} is forgotten`)
  })
}

function nodeCells({
  mac,
  hostname = '',
  assignment,
  groups,
  currency,
  pins = [],
  pending = [],
  ...row
}: NodeRow): string[] {
  const lastSeen = Math.max(row.lastSeen ?? 0, row.heardAt ?? 0)
  const boots = assignmentText(assignment ?? currency?.assigned)
  const pinned = pins.map((pin) => `${pin.package} ${pinText(pin)}`)
  const seen = lastSeen ? timeText(lastSeen) : 'never'
  const told = [pendingText(pending), pinned.join('; '), groups.join(', '), seen]
  return [mac, hostname, boots, ...currencyText(currency), ...told]
}
