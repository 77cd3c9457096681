import type { Logger } from '../config/log.ts'
import type { Admission } from '../fleet/admission.ts'
import type { Assignments } from '../fleet/assignment.ts'
import type { Boots } from '../fleet/boots.ts'
import type { Bundles } from '../fleet/bundles.ts'
import type { Holders } from '../fleet/holders.ts'
import type { State } from '../state/redis.ts'
import type { HotBlobs } from '../store/hot-blobs.ts'
import type { Store } from '../store/store.ts'
import type { Delivery } from './delivery.ts'
import type { RackCaches } from './rack-caches.ts'
import type { Refusals } from './refusals.ts'
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
  readonly delivery: Delivery
  /** One for all boot interfaces, as `delivery`. Undefined: every node may download at once. */
  readonly admission: Admission | undefined
  readonly caches: RackCaches
  readonly refusals: Refusals
  /** Seconds between two questions of a running node. */
  readonly heartbeat: number
  /** Absent: nothing is known of addresses. */
  readonly holders?: Holders | undefined
  /** `http://ADDRESS:PORT` of this server on the boot network. */
  readonly server: () => string
}
