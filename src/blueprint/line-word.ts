/** A text as one word of a line, as boot/native reads it: what may not stand in a word is written %XX. */
export const lineWord = (text: string): string =>
  text.replace(/[\0-\x20%\x7f]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

/** The text of a word. */
export const wordText = (word: string): string =>
  word.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
