/**
 * The code in a database, and what may become of the session that runs some of it: functions, and what tables, views and
 * types run by themselves. Texts are searched for words, schemas aside, so that no name is overlooked. PURE.
 */
import { mayCall, mayName, withoutStrings, wordsOf } from '../words.ts'
import { bothUses, type CustomUse, customUseIn, NO_CUSTOM_USE } from './custom-settings.ts'
import {
  ALL_EFFECTS,
  ANY_EFFECTS,
  EFFECT,
  type Effects,
  effectsOfText,
  type Language,
  NO_EFFECTS,
} from './effects.ts'
import { callLeavesForGood } from './lasting-state.ts'
import { UNSEEN } from './unseen.ts'

export interface CodePiece {
  /**
   * `read`, `write`: what runs when the relation of that name is read or written; `trigger`, `index`: as `write`, but that
   * a definition of the table runs no trigger, and its upkeep indexes only, also by their own name; `attribute`: a function
   * that a column's name may call; `operator`: by its own name; `any`: what any statement may run (other operators, casts).
   */
  readonly kind:
    | 'function'
    | 'attribute'
    | 'operator'
    | 'read'
    | 'write'
    | 'trigger'
    | 'index'
    | 'type'
    | 'any'
  readonly name: string
  readonly language: Language
  /** Undefined: nobody can look into it. */
  readonly text: string | undefined
}

export interface Code {
  ofFunction(name: string): Effects
  /** Of reading the relation, or of writing it, which reads it too. */
  ofRelation(name: string, does: 'read' | 'write'): Effects
  /** Of a text (a DO block, the body of a function about to be made): its own, and those of all that it names. */
  ofText(language: Language, text: string): Effects
  /** Of a statement's text: of all that it names, but not of what it says itself. */
  ofStatement(text: string): Effects
  /**
   * Of a statement that defines something, or keeps up what is there (VACUUM, REINDEX): `isWhole`, of all that there is. No
   * triggers.
   */
  ofDefinition(text: string): Effects
  ofUpkeep(text: string, isWhole: boolean): Effects
  /** Any of it speaks of backends, or declares what search_path finds. */
  readonly namesBackends: boolean
  readonly compiles: boolean
  /** Triggers may fire at the end of the transaction. */
  readonly defers: boolean
  /** All code that a statement of this text may run. */
  piecesOf(text: string): readonly CodePiece[]
  /** What all of it asks for of custom settings, if any does; what all that a statement of this text may run does. */
  readonly customAsks: CustomUse | undefined
  customUseOf(text: string): CustomUse
  /** Names of custom settings that any of it says. */
  readonly settingNames: readonly string[]
}

const WRITES =
  /\b(insert|update|delete|merge|truncate|copy|execute|call|refresh|create|alter|select\s+into)\b/i

const QUERIES =
  /^(?:\s|\(|--[^\n\r]*|\/\*[\s\S]*?\*\/)*(?:select|with|values|table|insert|update|delete|merge)\b/i

/** Tables of which no single shard has all. */
export interface PartialTables {
  /** Names of sharded tables, and of views over them. */
  readonly sharded: readonly string[]
  readonly references: readonly string[]
}

const NO_TABLES: PartialTables = { sharded: [], references: [] }

/** Functions of one session: no catalog that others read has them. They are called by their schema only. */
const CALLS_TEMPORARY = /\bpg_temp(?:_\d+)?"?\s*\.\s*[^\s().,;]+\s*\(/i

interface Known {
  readonly piece: CodePiece
  readonly words: ReadonlySet<string>
  effects: Effects
}

/** `tables`: those that code must not read or write a part of. */
export function codeGraph(pieces: readonly CodePiece[], tables: PartialTables = NO_TABLES): Code {
  const graph = new Graph(pieces.map((piece) => toKnown(piece, tables)))
  return {
    ofFunction: (name) => graph.get('function', name) | graph.anywhere,
    ofRelation: (name, does) => {
      const written = does === 'write' ? graph.ofWriting(name) : NO_EFFECTS
      return graph.get('read', name) | written | graph.anywhere
    },
    ofText: (language, text) => {
      const words = wordsOf(text)
      return effectsOfText(language, text, words) | graph.named(text, words, kindsOf(WRITES.test(text)))
    },
    piecesOf: (text) => graph.reachedFrom(graph.namingPart(text)),
    namesBackends: graph.has(EFFECT.backends),
    compiles: graph.has(EFFECT.compiles),
    defers: pieces.some(({ kind, text }) => kind === 'trigger' && (text === undefined || DEFERS.test(text))),
    customAsks: customAsks(pieces),
    customUseOf: (text) => customUseOfAll(graph.reachedFrom(graph.namingPart(text))),
    settingNames: [...new Set(pieces.flatMap(({ text }) => settingNamesIn(text ?? '')))],
    ofStatement: (text) =>
      (graph.isEmpty ? NO_EFFECTS : graph.ofStatement(text)) |
      (CALLS_TEMPORARY.test(text) ? UNSEEN : NO_EFFECTS),
    ofDefinition: (text) =>
      graph.named(text, wordsOf(text), DEFINED) | (CALLS_TEMPORARY.test(text) ? UNSEEN : NO_EFFECTS),
    ofUpkeep: (text, isWhole) =>
      graph.named(text, wordsOf(text), KEPT_UP) |
      (isWhole ? graph.ofAll('index') : NO_EFFECTS) |
      (CALLS_TEMPORARY.test(text) ? UNSEEN : NO_EFFECTS),
  }
}

/** Where nothing is known of the code: every function is anything. */
export const UNKNOWN_CODE: Code = {
  ofFunction: () => ANY_EFFECTS,
  ofRelation: () => NO_EFFECTS,
  ofText: () => ANY_EFFECTS,
  ofStatement: () => NO_EFFECTS,
  ofDefinition: () => NO_EFFECTS,
  ofUpkeep: () => NO_EFFECTS,
  namesBackends: false,
  piecesOf: () => [],
  compiles: false,
  defers: true,
  customAsks: undefined,
  customUseOf: () => NO_CUSTOM_USE,
  settingNames: [],
}

/** As Postgres prints it. */
const DEFERS = /(?<!NOT )DEFERRABLE\b/

const CUSTOM =
  /'([\p{L}_][\p{L}\p{N}_$]*(?:\.[\p{L}_][\p{L}\p{N}_$]*)+)'|\bset\s+(?:local\s+|session\s+)?([\p{L}_][\p{L}\p{N}_$]*(?:\.[\p{L}_][\p{L}\p{N}_$]*)+)/giu

/** What may be the name of a custom setting in a text: `'a.b'`, `SET a.b`. */
export function settingNamesIn(text: string): string[] {
  return [...text.matchAll(CUSTOM)].map((match) => (match[1] ?? match[2]!).toLowerCase())
}

function toKnown(piece: CodePiece, tables: PartialTables): Known {
  const { text, language } = piece
  if (text === undefined) {
    const lasts = callLeavesForGood(piece.name) ? EFFECT.lasts : NO_EFFECTS
    return { piece, words: new Set(), effects: ANY_EFFECTS | lasts }
  }
  const words = wordsOf(text)
  const reaches = hasStatements(piece) && namesPart(text, words, tables) ? EFFECT.reaches : NO_EFFECTS
  const names = customUseIn(text) === NO_CUSTOM_USE ? NO_EFFECTS : EFFECT.names
  return { piece, words, effects: effectsOfText(language, text, words) | reaches | names }
}

function customAsks(pieces: readonly CodePiece[]): CustomUse | undefined {
  const { asks } = customUseOfAll(pieces)
  return asks.length === 0 ? undefined : { asks, sets: [] }
}

function customUseOfAll(pieces: readonly CodePiece[]): CustomUse {
  return pieces.reduce((use, { text }) => bothUses(use, customUseIn(text ?? '')), NO_CUSTOM_USE)
}

/** A view's tables are its statement's; defaults, constraints and so on read none but by functions. */
function hasStatements({ kind, language }: CodePiece): boolean {
  return kind === 'function' || language !== 'query'
}

/** Any copy of a reference table can be read. */
function namesPart(
  text: string,
  words: ReadonlySet<string>,
  { sharded, references }: PartialTables,
): boolean {
  const named = (table: string) => mayName(text, words, table)
  return sharded.some(named) || (WRITES.test(text) && references.some(named))
}

type Kind = CodePiece['kind']

const READ: readonly Kind[] = ['function', 'operator', 'read', 'type']
const WRITTEN: readonly Kind[] = [...READ, 'write', 'trigger', 'index']
const DEFINED: readonly Kind[] = [...READ, 'write', 'index']
const KEPT_UP: readonly Kind[] = ['function', 'operator', 'type', 'index']
const OF_WRITES: ReadonlySet<Kind> = new Set(['write', 'trigger', 'index'])
const kindsOf = (writes: boolean): readonly Kind[] => (writes ? WRITTEN : READ)

class Graph {
  /** Of pieces that do anything: by kind and name. */
  private readonly byKind: Readonly<Record<Kind, Map<string, Effects>>> = {
    function: new Map(),
    attribute: new Map(),
    operator: new Map(),
    read: new Map(),
    write: new Map(),
    trigger: new Map(),
    index: new Map(),
    type: new Map(),
    any: new Map(),
  }

  private readonly all: readonly Known[]

  constructor(all: readonly Known[]) {
    this.all = all
    for (const known of all) this.note(known)
    // What names others does what they do.
    for (let isComplete = false; !isComplete; ) {
      isComplete = true
      for (const known of all) if (this.grow(known)) isComplete = false
    }
  }

  private note({ piece, effects }: Known): void {
    if (effects === NO_EFFECTS) return
    const names = this.byKind[piece.kind]
    names.set(piece.name, (names.get(piece.name) ?? NO_EFFECTS) | effects)
  }

  private grow(known: Known): boolean {
    const { piece, words, effects } = known
    if (piece.text === undefined || effects === ALL_EFFECTS) return false
    const writes = OF_WRITES.has(piece.kind) || WRITES.test(piece.text)
    const kinds = piece.kind === 'index' ? KEPT_UP : kindsOf(writes)
    const grown = effects | this.named(piece.text, words, kinds)
    if (grown === effects) return false
    known.effects = grown
    this.note(known)
    return true
  }

  get(kind: Kind, name: string): Effects {
    return this.byKind[kind].get(name) ?? NO_EFFECTS
  }

  ofWriting(name: string): Effects {
    return this.get('write', name) | this.get('trigger', name) | this.get('index', name)
  }

  ofAll(kind: Kind): Effects {
    let effects = NO_EFFECTS
    for (const its of this.byKind[kind].values()) effects |= its
    return effects
  }

  get anywhere(): Effects {
    return this.ofAll('any')
  }

  get isEmpty(): boolean {
    return Object.values(this.byKind).every((names) => names.size === 0)
  }

  has(effect: Effects): boolean {
    const all = Object.values(this.byKind).flatMap((names) => [...names.values()])
    return all.some((effects) => (effects & effect) !== 0)
  }

  /** What the text names, what that names, and so on. */
  reachedFrom(text: string): readonly CodePiece[] {
    if (this.all.length === 0) return []
    const reached = new Set<Known>()
    const texts = [{ text, words: wordsOf(text), writes: WRITES.test(text) }]
    for (const { text, words, writes } of texts) {
      for (const known of this.all) {
        const { kind, name, text: its } = known.piece
        if (reached.has(known) || (OF_WRITES.has(kind) && !writes)) continue
        if (kind !== 'any' && !mayName(text, words, name)) continue
        reached.add(known)
        // What a view that is written names is written.
        if (its !== undefined)
          texts.push({ text: its, words: known.words, writes: OF_WRITES.has(kind) || WRITES.test(its) })
      }
    }
    return [...reached].map(({ piece }) => piece)
  }

  ofStatement(text: string): Effects {
    const part = this.namingPart(text)
    const words = wordsOf(part)
    const kinds = kindsOf(WRITES.test(part))
    if (!QUERIES.test(part)) return this.named(part, words, kinds)
    const effects = this.called(part, words, kinds)
    // Code that it makes itself names functions in ways of its own.
    const makes = ((effects | effectsOfText('query', part, words)) & EFFECT.dynamic) !== 0
    return makes ? this.named(part, words, kinds) : effects
  }

  /** Of a query: a function is called by its name and a parenthesis; by the name alone, where it is no column's. */
  private called(text: string, words: ReadonlySet<string>, kinds: readonly Kind[]): Effects {
    let effects = this.named(text, words, [...kinds.filter((kind) => kind !== 'function'), 'attribute'])
    for (const [name, its] of this.byKind.function)
      if ((effects | its) !== effects && mayName(text, words, name) && mayCall(text, name)) effects |= its
    return effects
  }

  /** Of a statement: what its strings say is data, unless it makes code of them, or runs code that may execute them. */
  namingPart(text: string): string {
    if (!text.includes("'") || !QUERIES.test(text)) return text
    const part = withoutStrings(text)
    const words = wordsOf(part)
    const effects = this.named(part, words, kindsOf(WRITES.test(part))) | effectsOfText('query', part, words)
    return (effects & EFFECT.dynamic) === 0 ? part : text
  }

  /** Of all that a text may name. */
  named(text: string, words: ReadonlySet<string>, kinds: readonly Kind[]): Effects {
    let effects = this.anywhere
    for (const names of kinds.map((kind) => this.byKind[kind])) {
      for (const [name, its] of names) {
        if ((effects | its) === effects || !mayName(text, words, name)) continue
        // This one is refused, so a column of the name is not enough.
        const isSure = names !== this.byKind.function || (its & EFFECT.backends) === 0 || mayCall(text, name)
        effects |= isSure ? its : its & ~EFFECT.backends
      }
    }
    return effects
  }
}
