import type { PgError } from '../../errors/pg-error.ts'
import type { Catalog, KeyedFunction, Relation } from '../catalog.ts'
import type { CodePiece } from '../code/code-graph.ts'
import { mayName, wordsOf } from '../words.ts'
import { reachOfBody, Unproven } from './keyed-body.ts'
import type { PlanContext } from './plan.ts'
import { unsupported } from './routing.ts'
import { DYNAMIC, names, ownersOf, reachedByKey, shardedOf } from './row-code.ts'

/**
 * What a function with a shard key reaches, with all that it runs: tables by that key only, or it is not proven, and
 * refused where it is called.
 */
export type Proof =
  | {
      readonly kind: 'proven'
      readonly relations: readonly Relation[]
      readonly searchPath: readonly string[]
    }
  | { readonly kind: 'unproven'; readonly error: PgError }

const proofs = new WeakMap<Catalog, Map<KeyedFunction, Proof>>()

export function proofOf(catalog: Catalog, keyed: KeyedFunction): Proof {
  const known = proofs.get(catalog) ?? new Map<KeyedFunction, Proof>()
  proofs.set(catalog, known)
  const proof = known.get(keyed) ?? prove(catalog, keyed)
  known.set(keyed, proof)
  return proof
}

function prove(catalog: Catalog, keyed: KeyedFunction): Proof {
  try {
    const relations = new Set<Relation>()
    const all = new Set([keyed])
    for (const each of all) {
      checkEnds(catalog, each)
      const reach = reachOfBody(catalog, each)
      checkOthers(catalog, each)
      for (const relation of reach.relations) relations.add(relation)
      for (const called of reach.calls) all.add(called)
    }
    const searchPath = [...all].flatMap((each) => each.searchPath)
    return { kind: 'proven', relations: [...relations], searchPath }
  } catch (error) {
    if (!(error instanceof Unproven)) throw error
    return { kind: 'unproven', error: unprovenError(keyed, error.message) }
  }
}

function unprovenError({ name, argument, number }: KeyedFunction, why: string): PgError {
  return unsupported(
    'keyed_function',
    `function ${name}() ${why}: that is not supported in a function with a shard key`,
    `Its statements may read and change sharded tables by ${argument ?? `$${number}`} only, and read reference tables. ` +
      'Run others from the client, in one transaction.',
  )
}

function checkEnds({ procedures }: Catalog, { isProcedure, name }: KeyedFunction): void {
  if (isProcedure && procedures?.get(name) !== false) throw new Unproven('may commit in its midst')
}

/** Helpers, triggers, policies and rules, whatever a word in it may mean. */
function checkOthers(catalog: Catalog, { body, name }: KeyedFunction): void {
  const pieces = catalog.code?.piecesOf(body) ?? []
  for (const piece of pieces) {
    if (piece.kind === 'function') checkFunction(catalog, pieces, piece)
    else if (piece.language === 'sql' && mayReadOthers(catalog, piece))
      throw new Unproven(`uses "${piece.name}", of which a policy or a rule names a sharded table`)
  }
  if (catalog.code === undefined) throw new Unproven(`is not known: ${name}`)
}

function mayReadOthers(catalog: Catalog, { text, name }: CodePiece): boolean {
  return text === undefined || shardedOf(catalog).some((table) => table.name !== name && names(text, table))
}

const KNOWN: ReadonlySet<string> = new Set(['sql', 'plpgsql', 'query'])

function checkFunction(catalog: Catalog, pieces: readonly CodePiece[], piece: CodePiece): void {
  const { name, text, language } = piece
  if (catalog.keyedFunctions?.has(name)) return
  if (text === undefined || !KNOWN.has(language) || DYNAMIC.test(text))
    throw new Unproven(`runs ${name}(), of which nobody knows what it reads`)
  if (catalog.tableInFunction?.(name) === undefined) return
  if (reachedByKey(catalog, piece, ownersOf(catalog, pieces, piece)) === undefined)
    throw new Unproven(`runs ${name}(), which reaches sharded tables otherwise than by the key of its row`)
}

/** Names in it may mean other tables, or operators, in this session, which are not on all shards. */
export function shadowError(
  catalog: Catalog,
  { name, body }: KeyedFunction,
  { relations, searchPath: own }: Extract<Proof, { kind: 'proven' }>,
  { searchPath, tempTables }: PlanContext,
): PgError | undefined {
  const words = wordsOf(body)
  const schemas = [...searchPath, ...own]
  const isOther = (relation: Relation) =>
    tempTables.has(relation.name) ||
    schemas.some((schema) => {
      const meant = catalog.resolve(schema, relation.name, [])
      return meant !== undefined && meant.oid !== relation.oid
    })
  const operators = schemas.find((schema) => catalog.equalitySchemas?.has(schema) === true)
  if (operators !== undefined)
    return unsupported(
      'keyed_function',
      `function ${name}() where schema "${operators}", which has an operator =, is in the search path is not supported`,
      'Take it out of search_path.',
    )
  const temporary = [...tempTables].find((table) => mayName(body, words, table))
  const shadowed = temporary ?? relations.find(isOther)?.name
  if (shadowed === undefined) return undefined
  return unsupported(
    'keyed_function',
    `function ${name}() names table "${shadowed}", of which the session finds another: that is not supported`,
    'Drop the temporary table, or have one table of the name only in the schemas of search_path.',
  )
}
