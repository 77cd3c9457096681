import { posix } from 'node:path'
import type { Store } from '../../store/store.ts'
import type { Layers, Standing } from '../layers.ts'
import { factsOf } from './facts.ts'
import { librariesOf, libraryDirectories } from './libraries.ts'

/** One more path that a kept path cannot do without. */
export interface Need {
  readonly path: string
  /** For people: `library of /usr/sbin/apache2`. */
  readonly by: string
}

/** Where programs named without a path are looked for. */
const programDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Tells what each path needs: its parent, where its link leads, its interpreter, its libraries. */
export async function needsReader(
  layers: Layers,
  store: Store,
): Promise<(path: string, standing: Standing) => Promise<Need[]>> {
  const directories = await libraryDirectories(layers, store)
  return async (path, { entry }) => {
    const needs: Need[] = path === '/' ? [] : [{ path: posix.dirname(path), by: `directory of ${path}` }]
    if (entry.type === 'symlink') {
      needs.push({ path: posix.resolve(posix.dirname(path), entry.target ?? ''), by: `where ${path} leads` })
    }
    if (entry.type === 'hardlink') needs.push({ path: entry.target ?? '', by: `the same file as ${path}` })
    if (entry.type !== 'file') return needs
    const facts = await factsOf(entry, store)
    if (facts.kind === 'elf') {
      if (facts.interpreter) needs.push({ path: facts.interpreter, by: `loader of ${path}` })
      for (const library of librariesOf(path, facts, directories, layers)) {
        needs.push({ path: library, by: `library of ${path}` })
      }
    }
    // A script that is not executable is read by an interpreter that runs already.
    if (facts.kind === 'script' && (entry.mode & 0o111) !== 0) {
      for (const program of interpreters(facts.words, layers)) {
        needs.push({ path: program, by: `interpreter of ${path}` })
      }
    }
    return needs
  }
}

/** `#!/bin/sh`, and `#!/usr/bin/env -S python3 -u` with the program that env is to find. */
function interpreters(words: readonly string[], layers: Layers): string[] {
  const [interpreter, ...rest] = words
  if (interpreter === undefined) return []
  if (posix.basename(interpreter) !== 'env') return [interpreter]
  const name = rest.find((word) => !word.startsWith('-') && !word.includes('='))
  const program = name === undefined ? undefined : findProgram(name, layers)
  return program === undefined ? [interpreter] : [interpreter, program]
}

/** Where a program stands in the stack; its name may be a path. */
export function findProgram(name: string, { world }: Layers): string | undefined {
  const candidates = name.includes('/') ? [name] : programDirectories.map((directory) => `${directory}/${name}`)
  return candidates.find((candidate) => world.has(world.resolve(candidate, true).path))
}
