import { catalogue } from '../../config/error-catalogue.ts'

/** docs/reference/errors.md: the catalogue, sorted by code. */
export function errorsReference(): string {
  const sections = Object.entries(catalogue)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { meaning, hint, status, exit }]) =>
        `## ${code}\n\n${meaning}\n\nWhat to do: ${hint}\n\nHTTP status ${status}, exit status ${exit}.`,
    )
  const intro = [
    'Every error has a code. The command line prints `error CODE: message`, where it is wrong, details, and a hint;',
    'with `--json`, and from the API, it is `{"error": {"code", "message", "where", "details", "hint"}}`.',
    'Exit status 1: it failed. 2: it was asked wrongly.',
  ]
  return `# Errors\n\n${intro.join('\n')}\n\n${sections.join('\n\n')}\n`
}
