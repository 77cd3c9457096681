import { BootloomError } from '../config/errors.ts'
import type { Toucher } from './observe/touched.ts'
import type { Profile, Touch } from './profile.ts'
import type { Rule } from './rules.ts'
import type { Reason, SelectedFile, Selection } from './selection.ts'

/** One link of the chain that leads from a selected path back to what was observed or asked for. */
interface WhyStep {
  readonly path: string
  readonly kind: Reason['kind']
  readonly by: string
  /** Of a rule. */
  readonly why?: string
}

export interface Why {
  readonly path: string
  readonly component: string
  readonly version: string
  readonly type: string
  readonly size: number
  /** From the path itself to the one that nothing in the selection led to. */
  readonly chain: readonly WhyStep[]
  /** How the application touched the last path of the chain, where it did. */
  readonly touched?: {
    readonly path: string
    readonly how: readonly Touch[]
    /** The first process that named it; unknown for what the kernel opened by itself. */
    readonly first?: Toucher
    readonly methods: Profile['methods']
  }
}

/** What a run left that tells who touched what. */
export interface Witness {
  readonly profile: Profile
  /** From the observation's record, where there is one. */
  readonly first?: Readonly<Record<string, Toucher>>
  /** Who looked first for a path that the stack does not have. */
  readonly absent?: Readonly<Record<string, Toucher>>
}

/** Why a path is in the bundle. `path` is the one that it really has. Throws NOT_SELECTED. */
export function whyOf(path: string, selection: Selection, { profile, first }: Witness, rules: readonly Rule[]): Why {
  const files = new Map(
    selection.parts.flatMap(({ component, files }) => files.map((file) => [file.path, { file, component }] as const)),
  )
  const found = files.get(path)
  if (!found) throw new BootloomError('NOT_SELECTED', `${path} is not in the bundle`, { where: path })
  const chain = chainOf(found.file, (from) => files.get(from)?.file, rules)
  const last = chain.at(-1)!
  // The directory of something that the application makes follows from a path that no component has.
  const root = files.get(last.path)?.file.reason.from ?? last.path
  const touched = profile.paths.find((one) => one.path === last.path) ?? profile.paths.find((one) => one.path === root)
  const toucher = touched && first?.[touched.path]
  return {
    path,
    component: found.component.name,
    version: found.component.version,
    type: found.file.type,
    size: found.file.size,
    chain,
    ...(touched && {
      touched: {
        path: touched.path,
        how: touched.how,
        ...(toucher && { first: { process: toucher.process, call: toucher.call } }),
        methods: profile.methods,
      },
    }),
  }
}

function chainOf(
  file: SelectedFile,
  fileAt: (path: string) => SelectedFile | undefined,
  rules: readonly Rule[],
): WhyStep[] {
  const steps: WhyStep[] = []
  for (let here: SelectedFile | undefined = file; here; ) {
    const { kind, by, from }: Reason = here.reason
    const why = kind === 'rule' ? rules.find(({ name }) => name === by)?.why : undefined
    steps.push({ path: here.path, kind, by, ...(why === undefined ? {} : { why }) })
    // Every reason was found before what it led to, so there is no way round in a circle; a damaged one ends here.
    here = from === undefined || steps.some(({ path }) => path === from) ? undefined : fileAt(from)
  }
  return steps
}
