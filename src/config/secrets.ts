/** Settings whose value, or a part of it, is never printed. */
export const secretPaths: ReadonlySet<string> = new Set(['redis.url'])

/** Credentials of URLs, wherever in the text they stand, become `***`. */
export function maskCredentials(text: string): string {
  return text.replace(/:\/\/[^\s"']*@/g, '://***@').replace(/([?&]password=)[^&\s"']*/gi, '$1***')
}
