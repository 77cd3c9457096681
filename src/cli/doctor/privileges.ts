import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { execa } from 'execa'
import { type Finding, fail, ok, warn } from './finding.ts'

const timeout = 10_000

/** Applications are watched inside namespaces of their own, and so does the lab live in one. */
export async function checkNamespaces(): Promise<Finding[]> {
  const words = ['--mount', '--pid', '--net', '--fork', '--', 'true']
  const outcome = await execa('unshare', words, { reject: false, timeout })
  if (outcome.exitCode === 0) return [ok('namespaces', 'pid, mount and network namespaces can be made')]
  const reason = outcome.stderr?.trim().split('\n').at(-1) || outcome.shortMessage || 'unshare failed'
  const mend = 'Run as root; in a container, give it CAP_SYS_ADMIN (docker run --privileged).'
  return [fail('namespaces', reason, mend)]
}

export async function checkTracing(): Promise<Finding[]> {
  const words = ['-f', '--seccomp-bpf', '-e', 'trace=execve', '--', '/bin/true']
  const outcome = await execa('strace', words, { reject: false, timeout })
  if (outcome.exitCode === 0 && outcome.stderr.includes('execve(')) {
    return [ok('tracing', 'strace with seccomp-bpf follows a process')]
  }
  if (outcome.code === 'ENOENT') return [fail('tracing', 'strace is not installed', 'apt-get install strace')]
  const reason = outcome.stderr?.trim().split('\n').at(-1) || outcome.shortMessage || 'strace failed'
  const mend = 'Allow ptrace: sysctl kernel.yama.ptrace_scope=1; in a container, give it CAP_SYS_PTRACE.'
  return [fail('tracing', reason, mend)]
}

export async function checkTun(): Promise<Finding[]> {
  try {
    await access('/dev/net/tun', constants.R_OK | constants.W_OK)
    return [ok('tun', '/dev/net/tun can be opened')]
  } catch {
    const mend = 'modprobe tun; in a container, pass --device /dev/net/tun. Only the lab needs it.'
    return [warn('tun', '/dev/net/tun is not there, or not for this account', mend)]
  }
}
