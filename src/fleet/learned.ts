import { z } from 'zod'
import type { BundleConfig } from '../compose/bundle-format.ts'
import { BootloomError } from '../config/errors.ts'
import type { Boot } from '../state/boots.ts'
import { type Learned, putLearned, waysLearned } from '../state/learned.ts'
import { getNode } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/** Lines of one report that are read; the node sends fewer. */
const maxLines = 2048
const maxOpen = 4

const unescaped = (text: string): string =>
  text.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

const path = z
  .string()
  .max(3 * 4096)
  .startsWith('/')
  .transform(unescaped)
const line = z.tuple([z.string().transform((ways) => ways.split(',')), z.union([z.literal(''), path]), path])

/** Lines as boot/native/learn.c writes them: ways, program, path; what does not fit is dropped. */
export function parseLearned(text: string): Learned[] {
  return text.split('\n', maxLines).flatMap((words) => {
    const parsed = line.safeParse(words.split('\t'))
    if (!parsed.success) return []
    const [ways, process, path] = parsed.data
    // The program is shown on terminals.
    const shown = process.replace(/[^\x20-\x7e]/g, '?').slice(0, 256)
    return waysLearned.filter((way) => ways.includes(way)).map((how) => ({ path, how, process: shown }))
  })
}

/** Takes in what nodes tell while they learn. */
export class Learning {
  readonly #redis: Redis
  readonly #store: Store
  readonly #open = new Map<Digest, Promise<ReadonlySet<string>>>()

  constructor(redis: Redis, store: Store) {
    this.#redis = redis
    this.#store = store
  }

  /** Keeps what is of the stack, so a node can tell of no more than that. LEARNING_OVER when nobody learns from this boot. */
  async record({ mac, bundle }: Boot, { learns }: BundleConfig, told: readonly Learned[]): Promise<void> {
    const { learning } = (await getNode(this.#redis, mac)) ?? {}
    if (learns === undefined || learning?.bundle !== bundle) {
      throw new BootloomError('LEARNING_OVER', `nobody learns from this boot of ${mac}`, { where: mac })
    }
    const paths = await this.#pathsOf(learns)
    await putLearned(
      this.#redis,
      mac,
      told.filter(({ path }) => paths.has(path)),
    )
  }

  #pathsOf(learns: Digest): Promise<ReadonlySet<string>> {
    const known = this.#open.get(learns)
    if (known) return known
    const reading = this.#store.readJson<string[]>(learns).then((paths) => new Set(paths))
    this.#open.set(learns, reading)
    reading.catch(() => this.#open.delete(learns))
    if (this.#open.size > maxOpen) this.#open.delete(this.#open.keys().next().value!)
    return reading
  }
}
