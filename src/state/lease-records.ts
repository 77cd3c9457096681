/** A lease as people see it. */
export interface Lease {
  readonly address: string
  /** Empty when declined. */
  readonly client: string
  readonly mac: string
  readonly state: 'offered' | 'bound' | 'released' | 'declined'
  /** Milliseconds since 1970. */
  readonly expires: number
}

const states = { o: 'offered', b: 'bound', f: 'bound', r: 'released', d: 'declined' } as const

/** Reads a record of the lease table; `lease-scripts.ts` says how it is laid out. */
export function readLease(address: string, record: string): Lease {
  const space = record.indexOf(' ', 27)
  return {
    address,
    state: states[record[0] as keyof typeof states],
    expires: Number(record.slice(1, 14)),
    mac: record.slice(27, space),
    client: record.slice(space + 1),
  }
}
