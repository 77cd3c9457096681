import { expect, test } from 'vitest'
import { exampleOf } from '../../src/cli/command.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { commandsOf, fullName } from '../../src/cli/reference/commands.ts'
import { bootloom } from './launcher.ts'

const commands = [...commandsOf(buildProgram())].map((command) => [fullName(command), command] as const)

test('all the commands are there', () => {
  expect(commands.map(([name]) => name.replace('bootloom ', ''))).toEqual([
    'serve',
    ...['node set', 'node list', 'node show', 'node power', 'node reboot', 'node drift', 'node unset'],
    ...['group set', 'group list', 'group unset'],
    ...['lease list', 'lease show', 'lease release', 'lease reserve', 'lease unreserve', 'dhcp snippets'],
    ...['blueprint apply', 'blueprint init', 'blueprint list', 'blueprint show'],
    ...['blueprint why', 'blueprint why-not', 'blueprint fat', 'blueprint misses'],
    ...[
      'observe',
      'compose',
      'bundle list',
      'bundle show',
      'bundle weigh',
      ...['build', 'list', 'show', 'fragments'].map((verb) => `kernel ${verb}`),
      'channel list',
      'channel history',
      'channel release',
      ...['list', 'show', 'detect', 'approve', 'retry', 'hold', 'rollback'].map((verb) => `change ${verb}`),
      'rollback',
      ...['rollout start', 'rollout status', 'rollout pause', 'rollout resume', 'rollout abort', 'rollout list'],
      'repo list',
      'repo update',
      'impact',
      ...['pin set', 'pin list', 'pin remove'],
      'rule list',
      'rule explain',
      'events',
    ],
    ...['lab up', 'lab down', 'lab status', 'lab node', 'lab storm', 'lab demo', 'doctor', 'config'],
  ])
})

test.each(commands)('%s has a description, and an example that its own parser takes', async (name, command) => {
  expect(command.description()).toMatch(/[.]$/)
  const example = exampleOf(command) ?? ''
  expect(example.startsWith(name)).toBe(true)

  // Parsed for real, but doing nothing: unknown options, missing arguments or wrong choices would throw.
  const program = buildProgram()
  let parsed = ''
  for (const one of commandsOf(program)) {
    one.action(() => {
      parsed = fullName(one)
    })
  }
  await program.parseAsync(example.split(' ').slice(1), { from: 'user' })
  expect(parsed).toBe(name)
})

test('--help of a command shows its options and its example', async () => {
  const { stdout, exitCode } = await bootloom(['node', 'set', '--help'])
  expect(exitCode).toBe(0)
  expect(stdout).toContain('--blueprint <name>')
  expect(stdout).toContain('--json')
  expect(stdout).toContain('Example:\n  $ bootloom node set')
})
