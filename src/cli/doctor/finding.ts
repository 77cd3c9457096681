/** What one check of `bootloom doctor` found. */
export interface Finding {
  readonly check: string
  /** `warn`: a part of Bootloom will not work, or not well; `fail`: nothing sensible will. */
  readonly level: 'ok' | 'warn' | 'fail'
  readonly found: string
  /** How to mend it; absent when there is nothing to mend. */
  readonly mend?: string
}

export const ok = (check: string, found: string): Finding => ({ check, level: 'ok', found })
export const warn = (check: string, found: string, mend: string): Finding => ({ check, level: 'warn', found, mend })
export const fail = (check: string, found: string, mend: string): Finding => ({ check, level: 'fail', found, mend })
