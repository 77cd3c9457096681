import { networkInterfaces } from 'node:os'

/** The first IPv4 address of an interface; undefined when it has none. */
export const firstAddress = (name: string): string | undefined =>
  networkInterfaces()[name]?.find(({ family }) => family === 'IPv4')?.address
