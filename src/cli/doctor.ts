import type { Command } from 'commander'
import colors from 'picocolors'
import { settingsOf } from './api.ts'
import { addCommand } from './command.ts'
import type { Finding } from './doctor/finding.ts'
import { printResult } from './output.ts'

export function addDoctor(program: Command): void {
  addCommand(program, {
    words: 'doctor',
    description: 'Check this machine for all that Bootloom needs, and say how to mend what is amiss.',
    example: 'bootloom doctor --state /var/lib/bootloom',
  }).action(async (_options: unknown, command: Command) => {
    const { settings } = settingsOf(command)
    const { examine } = await import('./doctor/examine.ts')
    const findings = await examine(settings)
    const worst = findings.some(({ level }) => level === 'fail') ? 1 : 0
    process.exitCode = worst
    await printResult(command, { ok: worst === 0, findings }, () => render(findings))
  })
}

const marks = { ok: colors.green('ok  '), warn: colors.yellow('warn'), fail: colors.red('fail') } as const

function render(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, level, found, mend }) => [
    `${marks[level]}  ${check.padEnd(20)} ${found}`,
    ...(mend === undefined ? [] : [`      ${' '.repeat(20)} ${colors.cyan('mend:')} ${mend}`]),
  ])
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length
  return [...lines, '', `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} to mend`].join('\n')
}
