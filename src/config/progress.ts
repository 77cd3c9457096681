/** What long work says of itself while it runs: a step by name, and how far it is where that is known. */
export interface Progress {
  readonly step: string
  /** What it is at, for people. */
  readonly detail?: string
  /** 0 to 1. */
  readonly fraction?: number
}

export type OnProgress = (event: Progress) => void
