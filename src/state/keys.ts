/**
 * Every Redis key is built here and nowhere else. MAC addresses are lower-case with colons, digests `sha256:…`.
 * The prefix lets several Bootlooms share one Redis.
 */
const prefix = 'bootloom'

export const keys = {
  /** Names the servers that share this Redis. */
  installation: () => `${prefix}:installation`,
  /** Names the store that the servers on this Redis share. */
  store: () => `${prefix}:store`,
  /** Set of `node MAC` and `group NAME` that carry DHCP options of their own. */
  optioned: () => `${prefix}:optioned`,
  /** Hash name → JSON of the applied blueprint record. */
  blueprints: () => `${prefix}:blueprints`,
  /** Hash digest → JSON summary of every component known. */
  components: () => `${prefix}:components`,
  /** Hash `KIND:digest of a .deb` → digest of the component read from it; derived. */
  componentsOfDebs: () => `${prefix}:components-of-debs`,
  /** Hash key → JSON of each kernel that was built; derived. */
  kernels: () => `${prefix}:kernels`,
  /** Hash of a segment's recipe → JSON descriptor of the segment woven from it. */
  segments: () => `${prefix}:segments`,
  /** Hash digest → JSON summary of every bundle known. */
  bundles: () => `${prefix}:bundles`,
  /** Hash digest of a bundle → JSON of what replaying it found. */
  replays: () => `${prefix}:replays`,
  /** Hash channel → digest, one for each blueprint. */
  channels: (blueprint: string) => `${prefix}:channels:${blueprint}`,
  /** Newest first: JSON of each move of the channel. */
  channelHistory: (blueprint: string, channel: string) => `${prefix}:channel-history:${blueprint}:${channel}`,
  /** Hash blueprint → JSON of the bundle that no automatism may bring to its channels. */
  holds: () => `${prefix}:holds`,
  /** Hash MAC → JSON of the bundles that the node was given and was not ready with, one for each blueprint. */
  tries: (blueprint: string) => `${prefix}:tries:${blueprint}`,
  /** Hash digest of a bundle → digest of what it brings to a node: the same at every level that it is woven at. */
  contents: () => `${prefix}:contents`,
  /** Hash MAC → JSON of what the node last was ready with. */
  runs: () => `${prefix}:runs`,
  /** Sorted set of bundles by when a node was first ready with them (milliseconds since 1970), and the same of one group. */
  readyBundles: (blueprint: string, group?: string) =>
    `${prefix}:ready:${blueprint}${group === undefined ? '' : `:${group}`}`,
  /** Hash MAC → JSON of what the admin said of the node. */
  nodes: () => `${prefix}:nodes`,
  /** Hash MAC → JSON of the devices that the node told of. */
  hardware: () => `${prefix}:hardware`,
  /** Set of MACs whose devices are to be looked at: whether their blueprint has the drivers. */
  hardwareNews: () => `${prefix}:hardware-noted`,
  /** Hash MAC → milliseconds since 1970 when it was first seen. */
  firstSeen: () => `${prefix}:first-seen`,
  /** Hash MAC → JSON of what the node last said of itself. */
  sightings: () => `${prefix}:sightings`,
  /** Sorted set MAC by when it was last seen. */
  lastSeen: () => `${prefix}:last-seen`,
  /** Hash `node MAC` or `group NAME` → user data for cloud-init and the like; may hold secrets. */
  userData: () => `${prefix}:user-data`,
  /** Hash group → JSON of the group's assignment. */
  groups: () => `${prefix}:groups`,
  // One script works on all keys of a subnet: the braces keep them in one slot of a Redis Cluster.
  /** Hash address → record of the lease (lease-scripts.ts), one for each subnet. */
  leases: (subnet: string) => `${prefix}:{${subnet}}:lease-records`,
  /** Hash client identity → address, one for each subnet. */
  leaseHolders: (subnet: string) => `${prefix}:{${subnet}}:lease-holders`,
  /** Sorted set of addresses bound or released, by when another may have them (milliseconds since 1970). */
  leaseExpiry: (subnet: string) => `${prefix}:{${subnet}}:lease-expiry`,
  /** Sorted set of addresses offered or declined, by when they are free again (milliseconds since 1970). */
  leaseHolds: (subnet: string) => `${prefix}:{${subnet}}:lease-holds`,
  /** Counts how often somebody's lease was ended or given to another: what servers remember may be wrong from then on. */
  leaseTakings: (subnet: string) => `${prefix}:{${subnet}}:lease-takings`,
  /** Bitmap of the addresses that have a record, counted from the subnet's first. */
  usedAddresses: (subnet: string) => `${prefix}:{${subnet}}:used-addresses`,
  /** Hash MAC → address kept for it, one for each subnet. */
  reservations: (subnet: string) => `${prefix}:{${subnet}}:reservations`,
  /** Hash address → MAC that it is kept for, one for each subnet. */
  reservedAddresses: (subnet: string) => `${prefix}:{${subnet}}:reserved-addresses`,
  /** JSON of one boot. */
  boot: (id: string) => `${prefix}:boot:${id}`,
  /** List of boot ids of a node, newest first. */
  bootsOf: (mac: string) => `${prefix}:boots:${mac}`,
  /** Sorted set of boot ids by when something last happened in them; the recent ones only. */
  recentBoots: () => `${prefix}:boots-recent`,
  /** Hash blueprint → JSON of its last rollout. */
  rollouts: () => `${prefix}:rollouts`,
  /** Hash MAC → JSON of how far the node is in the rollout of a blueprint. */
  rolloutNodes: (blueprint: string) => `${prefix}:rollout-nodes:${blueprint}`,
  /** Who drives the rollout of a blueprint; expires. */
  rolloutDriver: (blueprint: string) => `${prefix}:rollout-driver:${blueprint}`,
  /** Hash MAC → `CHANNEL DIGEST`: what the node gets in place of the channel, since its turn in a rollout has come. */
  turns: (blueprint: string) => `${prefix}:turns:${blueprint}`,
  /** Hash MAC → JSON of what the node is to do once it asks. */
  orders: () => `${prefix}:orders`,
  /** Sorted set MAC by when the running node last asked for what it is to do (milliseconds since 1970). */
  heard: () => `${prefix}:heard`,
  /** What a node told of its root, by the id of the order; expires. */
  inventory: (order: string) => `${prefix}:inventory:${order}`,
  /** Hash `node MAC` or `group NAME` → login of its power controller; a secret. */
  powerLogins: () => `${prefix}:power-logins`,
  /** Hash `BLUEPRINT CHANNEL` → JSON of the newest bundle that a rollout kept from the channel. */
  withheld: () => `${prefix}:withheld`,
  /** Hash `BLUEPRINT PACKAGE` → JSON of the version that it stays on, until when and why. */
  pins: () => `${prefix}:pins`,
  /** Counts the changes; the last one's id. */
  changeCount: () => `${prefix}:change-count`,
  /** Hash id → JSON of the change. */
  changes: () => `${prefix}:changes`,
  /** Hash blueprint → JSON of how far the change has come with it, one for each change. */
  changeParts: (id: string) => `${prefix}:change-parts:${id}`,
  /** Hash `BLUEPRINT KIND NAME` → JSON of an update that the change brings, one for each change. */
  changeUpdates: (id: string) => `${prefix}:change-updates:${id}`,
  /** Set of `ID BLUEPRINT` that have not ended. */
  openChanges: () => `${prefix}:changes-open`,
  /** Hash blueprint → id of the change that it has not been woven for yet: what comes now joins that one. */
  unwovenChanges: () => `${prefix}:changes-unwoven`,
  /** Hash `BLUEPRINT KIND NAME` → the version that some change was about last. */
  seenUpdates: () => `${prefix}:updates-seen`,
  /** Hash content of a bundle → JSON of what was measured when it was verified. */
  measures: () => `${prefix}:measures`,
  /** Hash MAC → JSON of the share whose bundle a node tries, and of what it was assigned before. */
  canaries: () => `${prefix}:canaries`,
  /** What BullMQ's keys begin with; in braces, since its scripts work on many of them. */
  queues: () => `{${prefix}}:queue`,
  /** Hash path → JSON of what running nodes missed of it, one for each blueprint. */
  misses: (blueprint: string) => `${prefix}:misses:${blueprint}`,
  /** Hash `WAY PATH` → program: what a node that learns told of its stack. */
  learned: (mac: string) => `${prefix}:learned:${mac}`,
  /** Stream of events, trimmed. */
  events: () => `${prefix}:events`,
} as const
