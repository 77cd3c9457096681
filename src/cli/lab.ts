import { type Command, InvalidArgumentError, Option } from 'commander'
import type { LabStatus } from '../../lab/commands.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult } from './output.ts'
import { showProgress } from './progress.ts'

interface NodeOptions {
  readonly name?: string
  readonly firmware?: string
  readonly nic?: string
  readonly memory?: number
  readonly mac?: string
  readonly reset?: true
  readonly stop?: true
  readonly console?: true
}

interface StormOptions {
  readonly name?: string
  readonly nodes?: number
  readonly within?: number
  readonly seed?: number
  readonly blueprint?: string
}

/** The lab stands beside src/, and only the command line knows it; it is loaded when it is asked for. */
const loadLab = () => import('../../lab/commands.ts')

export function addLab(program: Command): void {
  const lab = addNoun(program, 'lab', 'A network of virtual machines on this machine, to try Bootloom in (needs root).')
  addServers(lab)
  addMachines(lab)
  addStorm(lab)

  addCommand(lab, {
    words: 'demo',
    description:
      'The whole road once: observe and weave Apache, power a node on, fetch its page. What `npm start` runs.',
    example: 'bootloom lab demo --once',
  })
    .option('--once', 'end by itself; the last line is one JSON object with what was measured')
    .option('--port <port>', 'of 127.0.0.1, where the node’s page is shown (default 8088)', wholeNumber)
    .addOption(nameOption())
    .action(async (options: { once?: true; port?: number; name?: string }) => {
      const { labDemo } = await loadLab()
      await labDemo(options)
    })
}

const nameOption = () => new Option('--name <name>', 'another lab beside the usual one')

function addServers(lab: Command): void {
  addCommand(lab, {
    words: 'up',
    description: 'Bring the lab up: its network, and a Bootloom that serves it.',
    example: 'bootloom lab up',
  })
    .addOption(nameOption())
    .action(async (options: { name?: string }, command: Command) => {
      const { labUp } = await loadLab()
      const view = showProgress(command)
      const status = await labUp({ ...options, onProgress: view.show }).finally(view.end)
      await printResult(command, status, ({ name, directory }) =>
        [
          `the lab ${name} is up`,
          '  power a node on:      bootloom lab node 1',
          `  speak to its server:  bootloom --config ${directory}/bootloom.yaml node list`,
        ].join('\n'),
      )
    })

  addCommand(lab, {
    words: 'down',
    description: 'Take the lab down, also what a crashed run left. Its state is kept.',
    example: 'bootloom lab down',
  })
    .addOption(nameOption())
    .action(async (options: { name?: string }, command: Command) => {
      const { labDown } = await loadLab()
      await labDown(options)
      await printResult(command, { up: false }, () => 'the lab is down')
    })

  addCommand(lab, {
    words: 'status',
    description: 'Say whether the lab is up, and what runs in it.',
    example: 'bootloom lab status',
  })
    .addOption(nameOption())
    .action(async (options: { name?: string }, command: Command) => {
      const { labStatus } = await loadLab()
      await printResult(command, await labStatus(options), renderStatus)
    })
}

function renderStatus({ name, up, namespace, processes, nodes }: LabStatus): string {
  const state = up ? 'up' : namespace || processes.length > 0 ? 'half up: `bootloom lab down` removes it' : 'down'
  return [
    `the lab ${name} is ${state}`,
    ...processes.map(({ what, pid }) => `  ${what.padEnd(10)} process ${pid}`),
    ...nodes.map((node) => `  node ${node.index}     ${node.mac}, ${node.firmware}, ${node.memory} MiB`),
  ].join('\n')
}

function addMachines(lab: Command): void {
  addCommand(lab, {
    words: 'node <number>',
    description: 'Power a virtual machine of the lab on; or reset it, power it off, or open its serial console.',
    example: 'bootloom lab node 1',
  })
    .option('--firmware <kind>', 'bios (default), undionly, uefi-pxe or uefi-http')
    .option('--nic <model>', 'virtio-net-pci (default), e1000 or e1000e')
    .option('--memory <MiB>', 'its memory', wholeNumber)
    .option('--mac <mac>', 'its MAC address (default 52:54:00:aa:00:NN)')
    .addOption(new Option('--reset', 'press its reset button').conflicts(['stop', 'console']))
    .addOption(new Option('--stop', 'power it off').conflicts(['console']))
    .option('--console', 'open its serial console; Ctrl-] leaves it')
    .addOption(nameOption())
    .action(async (number: string, options: NodeOptions, command: Command) => {
      const { reset, stop, console, ...rest } = options
      const index = wholeNumber(number)
      const { labNode } = await loadLab()
      const action = console ? 'console' : stop ? 'stop' : reset ? 'reset' : 'start'
      const settings = await labNode({ index, action, ...rest })
      if (action === 'console') return
      await printResult(command, settings, ({ mac }) => `node ${index} (${mac}) is ${stop ? 'off' : 'on'}`)
    })
}

function addStorm(lab: Command): void {
  addCommand(lab, {
    words: 'storm',
    description:
      'Simulate many nodes that power on at once, each from DHCP to ready, and say how long every stage took.',
    example: 'bootloom lab storm --nodes 1000',
  })
    .option('--nodes <count>', 'how many (default 100)', wholeNumber)
    .option('--within <seconds>', 'over which time they are powered on (default 5)', wholeNumber)
    .option('--seed <number>', 'repeats the same choices and MAC addresses (default 1)', wholeNumber)
    .option(
      '--blueprint <name>',
      'a ready-made blueprint to boot; without it, random bytes as heavy as Apache’s bundle',
    )
    .addOption(nameOption())
    .action(async (options: StormOptions, command: Command) => {
      const { labStorm, stormTable } = await import('../../lab/storm/command.ts')
      const view = showProgress(command)
      const onView = (line: string) => view.show({ step: 'storm', detail: line })
      const { nodes = 100, ...rest } = options
      const result = await labStorm({ ...rest, nodes, onProgress: view.show, onView }).finally(view.end)
      await printResult(command, result, stormTable)
      if (result.ready < nodes) process.exitCode = 1
    })
}

function wholeNumber(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError(`'${text.slice(0, 40)}' is no whole number.`)
}
