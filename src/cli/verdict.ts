import type { Verdict } from '../state/replays.ts'
import { durationText } from './output.ts'

/** What replaying a bundle found, on one line. */
export function verdictText({ holds, differences, lacking, dropped, seconds }: Verdict): string {
  const named = lacking.slice(0, 3).map(({ path, component }) => `${path} of ${component}`)
  const more = lacking.length > named.length ? [`${lacking.length - named.length} more`] : []
  return [
    `${holds ? 'holds' : 'fails'}, in ${durationText(seconds * 1000)}`,
    ...(named.length === 0 ? [] : [`lacks ${[...named, ...more].join(', ')}`]),
    ...(differences.length === 0 ? [] : [`${differences.length} answers differ`]),
    ...(dropped.length === 0 ? [] : [`${dropped.length} dropped files were asked for`]),
  ].join('; ')
}
