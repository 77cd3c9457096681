import type { Digest } from '../store/digest.ts'
import type { ComponentRef } from './component.ts'

/** The full set of component versions that a blueprint may draw on: what a golden image would have shipped. */
export interface Stack {
  /**
   * In the order in which they cover each other, later over earlier: packages sorted by name, then `configuration`
   * (what installing them left behind), then trees in the blueprint's order.
   */
  readonly components: readonly ComponentRef[]
  /** Of a lean one, the source that it is built from. */
  readonly kernel: ComponentRef
  /** The source of a kernel that is to be repacked. */
  readonly kernelSource?: ComponentRef
  /** The component that brings the busybox which runs init on the node. */
  readonly busybox: ComponentRef
  /** Digest of the installed packages alone: names the root directory that they were installed into. */
  readonly installation: Digest
}
