/** Program of the thread that parses and plans long texts (text-thread.ts). */
import { parentPort } from 'node:worker_threads'
import { invariant } from '../../errors/pg-error.ts'
import type { Catalog } from '../../sql/catalog.ts'
import { useParser } from '../../sql/parse/parser.ts'
import { makeCatalog } from '../catalog/catalog-value.ts'
import { Planner, type Statement } from '../execute/plans/planner.ts'
import { ParserSupply } from '../parser/parser-supply.ts'
import { type Answer, type Request, sentError, sentPlan } from './requests.ts'

const port = parentPort
invariant(port !== null, 'not a program by itself')

useParser(await ParserSupply.open())
const planner = new Planner({ entriesMax: 1, textBytesMax: 1 })

/** Whoever splits a text of one statement wants its plan next. */
let parsed: { readonly text: string; readonly statements: readonly Statement[] } | undefined
let known: { readonly number: number; readonly catalog: Catalog } | undefined

function statementsOf(text: string): readonly Statement[] {
  if (parsed?.text !== text) parsed = { text, statements: planner.parse(text) }
  return parsed.statements
}

function answerTo(request: Request): Answer {
  const statements = statementsOf(request.text)
  if (request.kind === 'split') {
    return { kind: 'places', places: statements.map(({ kind, start, end }) => ({ kind, start, end })) }
  }
  if (request.parts !== undefined) known = { number: request.catalog, catalog: makeCatalog(request.parts) }
  invariant(known?.number === request.catalog, 'the catalog was sent ahead')
  const scope = { ...request.under, catalog: known.catalog, cache: undefined }
  const { plan } = planner.plan(scope, statements[0]!, request.paramTypes)
  parsed = undefined
  return { kind: 'plan', ...sentPlan(plan) }
}

port.on('message', (request: Request) => {
  let answer: Answer
  try {
    answer = answerTo(request)
  } catch (error) {
    parsed = undefined
    answer = { kind: 'error', error: sentError(error) }
  }
  port.postMessage(answer)
})
port.postMessage(process.env.WEFT_BUILD)
