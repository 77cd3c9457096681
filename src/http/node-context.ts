import type { Logger } from '../config/log.ts'
import type { Assignments } from '../fleet/assignment.ts'
import type { Boots } from '../fleet/boots.ts'
import type { State } from '../state/redis.ts'
import type { Store } from '../store/store.ts'
import type { Bundles } from './bundles.ts'
import type { HotBlobs } from './hot-blobs.ts'
import type { Templates } from './template.ts'

/** What the routes for nodes answer from. */
export interface NodeContext {
  readonly state: State
  readonly store: Store
  readonly assignments: Assignments
  readonly boots: Boots
  /** Boot programs by name. */
  readonly programs: ReadonlyMap<string, Buffer>
  readonly log: Logger
  readonly bundles: Bundles
  readonly hot: HotBlobs
  readonly templates: Templates
  /** `http://ADDRESS:PORT` of this server on the boot network. */
  readonly server: () => string
}
