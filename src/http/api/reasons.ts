import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { type Fat, fatOf } from '../../blueprint/fat.ts'
import { type FiredRule, firedRules } from '../../blueprint/fired.ts'
import { layersOf } from '../../blueprint/layers.ts'
import type { PagesRead } from '../../blueprint/pages.ts'
import type { Profile } from '../../blueprint/profile.ts'
import { loadRules } from '../../blueprint/rules.ts'
import type { Selection } from '../../blueprint/selection.ts'
import { type Why, type Witness, whyOf } from '../../blueprint/why.ts'
import { type WhyNot, whyNotOf } from '../../blueprint/why-not.ts'
import { wovenBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import { BootloomError } from '../../config/errors.ts'
import type { Component } from '../../repository/component.ts'
import { loadComponent } from '../../repository/recorded.ts'
import type { Stack } from '../../repository/stack.ts'
import { parseRequest } from './body.ts'

const query = z.strictObject({
  path: z.string().min(1).max(4096).regex(/^\//, 'must be an absolute path'),
})

interface OfBlueprint {
  readonly Params: { readonly name: string }
}

/** Why a path is in a blueprint's bundle, why another is not, and what its rules did. */
export function reasonRoutes(app: FastifyInstance, context: Context): void {
  app.get<OfBlueprint>('/v1/blueprints/:name/why', async ({ params, query: given }): Promise<Why> => {
    const known = await knownOf(context, params.name)
    const path = standingAt(parseRequest(query, given).path, known)
    return whyOf(path, known.selection, known.witness, await loadRules())
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/why-not', async ({ params, query: given }): Promise<WhyNot> => {
    const known = await knownOf(context, params.name)
    const path = standingAt(parseRequest(query, given).path, known)
    return whyNotOf(path, { ...known, rules: await loadRules(), store: context.store })
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/fat', async ({ params }): Promise<Fat> => {
    return fatOf({ ...(await knownOf(context, params.name)), rules: await loadRules(), store: context.store })
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/rules', async ({ params }): Promise<FiredRule[]> => {
    const { selection } = await knownOf(context, params.name)
    return firedRules(selection, await loadRules())
  })
}

interface Known {
  readonly selection: Selection
  readonly components: readonly Component[]
  readonly witness: Witness
  readonly drop: readonly string[]
  readonly pages: Readonly<Record<string, PagesRead>>
}

type Observed = Pick<Witness, 'first' | 'absent'> & { readonly pages?: Known['pages'] }

async function knownOf({ store, ...context }: Context, name: string): Promise<Known> {
  const { blueprint, record } = await wovenBlueprint({ store, ...context }, name)
  if (!record.selectionDigest) {
    throw new BootloomError('NOT_COMPOSED', `${name} has no selection yet`, {
      hint: `Run \`bootloom compose ${name}\`.`,
    })
  }
  const selection = await store.readJson<Selection>(record.selectionDigest)
  const stack = await store.readJson<Stack>(selection.stack)
  const observed: Observed = record.observationDigest ? await store.readJson<Observed>(record.observationDigest) : {}
  return {
    selection,
    components: await Promise.all(stack.components.map((ref) => loadComponent(ref, store))),
    witness: { ...observed, profile: await store.readJson<Profile>(selection.profile) },
    drop: blueprint.drop,
    pages: observed.pages ?? {},
  }
}

/** The path itself where something stands there, else the one that its symlinked directories lead to. */
function standingAt(path: string, { components }: Known): string {
  return layersOf(components).world.resolve(path.replace(/(?<=.)\/+$/, ''), false).path
}
