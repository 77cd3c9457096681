/** What dpkg accepts as a version (deb-version(7)); a little wider than policy, as dpkg is for what is installed. */
const wellFormed = /^(?:\d{1,9}:)?[A-Za-z0-9.+~:-]{1,250}$/

/** Whether a text can be a version; anything else never comes from an archive. */
export const isDebVersion = (text: string): boolean => wellFormed.test(text)

/** Negative when `a` is the older version, positive when it is the newer one, 0 when they count as equal. */
export function compareDebVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)]
  return (
    left.epoch - right.epoch ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  )
}

function partsOf(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':')
  const rest = version.slice(colon + 1)
  const dash = rest.lastIndexOf('-')
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  }
}

const isDigit = (letter: string | undefined): boolean => letter !== undefined && letter >= '0' && letter <= '9'

/** A tilde comes before the end of the text, letters before all that is neither letter nor digit. */
function orderOf(letter: string | undefined): number {
  if (letter === '~') return -1
  if (letter === undefined || isDigit(letter)) return 0
  return /[A-Za-z]/.test(letter) ? letter.charCodeAt(0) : letter.charCodeAt(0) + 256
}

/** Stretches without digits by `orderOf`, and numbers by their value, in turn, from the left. */
function compareParts(a: string, b: string): number {
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const difference = orderOf(a[i]) - orderOf(b[j])
      if (difference !== 0) return difference
      i++
      j++
    }
    const [left, right] = [numberAt(a, i), numberAt(b, j)]
    // As text: numbers of any length, and none is rounded.
    const difference = left.digits.length - right.digits.length || (left.digits < right.digits ? -1 : 1)
    if (left.digits !== right.digits) return difference
    i = left.end
    j = right.end
  }
  return 0
}

function numberAt(text: string, start: number): { digits: string; end: number } {
  let end = start
  while (isDigit(text[end])) end++
  return { digits: text.slice(start, end).replace(/^0+/, ''), end }
}
