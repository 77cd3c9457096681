/**
 * Every Redis key is built here and nowhere else. MAC addresses are lower-case with colons, digests `sha256:…`.
 * The prefix lets several Bootlooms share one Redis.
 */
const prefix = 'bootloom'

export const keys = {
  /** Hash name → JSON of the applied blueprint record. */
  blueprints: () => `${prefix}:blueprints`,
  /** Hash `KIND/NAME/VERSION` → digest of the component. */
  components: () => `${prefix}:components`,
  /** Hash of a segment's recipe → JSON descriptor of the segment woven from it. */
  segments: () => `${prefix}:segments`,
  /** Hash digest → JSON summary of every bundle known. */
  bundles: () => `${prefix}:bundles`,
  /** Hash channel → digest, one for each blueprint. */
  channels: (blueprint: string) => `${prefix}:channels:${blueprint}`,
  /** Newest first: JSON of each move of the channel. */
  channelHistory: (blueprint: string, channel: string) => `${prefix}:channel-history:${blueprint}:${channel}`,
  /** Hash MAC → JSON of the node. */
  nodes: () => `${prefix}:nodes`,
  /** Hash group → JSON of the group's assignment. */
  groups: () => `${prefix}:groups`,
  /** Hash address → JSON of the lease, one for each subnet. */
  leases: (subnet: string) => `${prefix}:leases:${subnet}`,
  /** Hash client identity → address, one for each subnet. */
  leaseHolders: (subnet: string) => `${prefix}:lease-holders:${subnet}`,
  /** Sorted set address by expiry (seconds since 1970), one for each subnet. */
  leaseExpiry: (subnet: string) => `${prefix}:lease-expiry:${subnet}`,
  /** JSON of one boot. */
  boot: (id: string) => `${prefix}:boot:${id}`,
  /** List of boot ids of a node, newest first. */
  bootsOf: (mac: string) => `${prefix}:boots:${mac}`,
  /** Id of the node's boot that is under way. */
  currentBoot: (mac: string) => `${prefix}:boot-current:${mac}`,
  /** Stream of events, trimmed. */
  events: () => `${prefix}:events`,
} as const
