import { z } from 'zod'
import { settingsSchema } from './settings.ts'

/** One setting as a person names it: a value that is given whole, by one line, one variable or one flag. */
export interface Leaf {
  readonly path: readonly string[]
  /** `BOOTLOOM_` and the path in snake case: http.port → BOOTLOOM_HTTP_PORT. */
  readonly variable: string
  /** Texts are taken as they are, anything else is read as YAML (of which JSON is a part). */
  readonly isText: boolean
  readonly description: string
  readonly schema: z.core.$ZodType
}

const variableOf = (path: readonly string[]): string =>
  `BOOTLOOM_${path.map((name) => name.replace(/([A-Z])/g, '_$1').toUpperCase()).join('_')}`

/** The schema below defaults and optionality. */
export function bare(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return bare(schema.def.innerType)
  }
  return schema
}

function* walk(schema: z.core.$ZodType, path: readonly string[]): Generator<Leaf> {
  const inner = bare(schema)
  if (inner instanceof z.ZodObject) {
    for (const [name, child] of Object.entries(inner.shape)) yield* walk(child as z.core.$ZodType, [...path, name])
    return
  }
  const description = [schema, inner].map((part) => z.globalRegistry.get(part)?.description).find(Boolean) ?? ''
  const isText = ['string', 'enum'].includes(inner._zod.def.type)
  yield { path, variable: variableOf(path), isText, description, schema }
}

export const leaves: readonly Leaf[] = [...walk(settingsSchema, [])]
