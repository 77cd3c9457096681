import { type Boot, byKexec } from '../state/boots.ts'

/** Whether a node left what it ran before for this boot: one that runs may only have asked what it could enter. */
export function wasEntered(boot: Boot): boolean {
  const has = (name: string) => boot.stages.some(({ stage }) => stage === name)
  return has('init') || has('ready') || has(byKexec(boot) ? 'jump' : 'overlay')
}
