/** Postgres' own grammar, compiled to WebAssembly: one instance of it, and which of them parses. */
import { parseSync, SqlError, scanSync } from 'libpg-query'

export interface Parser {
  /** Throws SqlError for a text that Postgres would not take. */
  parse(sql: string): ReturnType<typeof parseSync>
  scan(sql: string): ReturnType<typeof scanSync>
}

/** What emscripten makes of libpg-query. */
export interface ParserModule {
  /** All of its memory. */
  readonly HEAPU8: Uint8Array
  lengthBytesUTF8(text: string): number
  stringToUTF8(text: string, at: number, bytesMax: number): void
  UTF8ToString(at: number): string
  getValue(at: number, type: 'i32'): number
  _malloc(bytes: number): number
  _free(at: number): void
  _wasm_parse_query_raw(text: number): number
  _wasm_free_parse_result(result: number): void
  _wasm_scan(text: number): number
  _wasm_free_string(text: number): void
}

/** libpg-query's only instance: for tools and tests, after `loadModule()`. */
let current: Parser = { parse: parseSync, scan: scanSync }

export function currentParser(): Parser {
  return current
}

/** A node that lives long puts one in that gives memory back. */
export function useParser(parser: Parser): void {
  current = parser
}

const POINTER_BYTES = 4

/** One instance. What it throws besides SqlError leaves it in a state in which nobody may use it again. */
export class ParserInstance implements Parser {
  private readonly module: ParserModule

  constructor(module: ParserModule) {
    this.module = module
  }

  /** A WebAssembly memory grows, and never shrinks. */
  get bytes(): number {
    return this.module.HEAPU8.length
  }

  parse(sql: string): ReturnType<typeof parseSync> {
    const { module } = this
    return this.withText(sql, (text) => {
      const result = module._wasm_parse_query_raw(text)
      if (result === 0) throw new RangeError('the parser has no memory')
      try {
        return JSON.parse(this.treeOf(result))
      } finally {
        module._wasm_free_parse_result(result)
      }
    })
  }

  scan(sql: string): ReturnType<typeof scanSync> {
    const { module } = this
    return this.withText(sql, (text) => {
      const result = module._wasm_scan(text)
      const answer = module.UTF8ToString(result)
      module._wasm_free_string(result)
      if (!answer.startsWith('{')) throw new SqlError(answer)
      return JSON.parse(answer)
    })
  }

  private withText<T>(sql: string, work: (text: number) => T): T {
    const { module } = this
    const bytes = module.lengthBytesUTF8(sql) + 1
    const text = module._malloc(bytes)
    if (text === 0) throw new RangeError('the parser has no memory')
    module.stringToUTF8(sql, text, bytes)
    try {
      return work(text)
    } finally {
      module._free(text)
    }
  }

  /** struct PgQueryRawParseResult: the tree, standard error, the error. */
  private treeOf(result: number): string {
    const { module } = this
    const error = this.pointer(result, 2)
    if (error !== 0) throw this.errorAt(error)
    return module.UTF8ToString(this.pointer(result, 0))
  }

  /** struct PgQueryError: message, function, file, line, position (from 1; 0: none). */
  private errorAt(error: number): SqlError {
    const message = this.module.UTF8ToString(this.pointer(error, 0))
    const cursorPosition = Math.max(this.pointer(error, 4) - 1, 0)
    return new SqlError(message, { message, cursorPosition })
  }

  private pointer(struct: number, index: number): number {
    return this.module.getValue(struct + index * POINTER_BYTES, 'i32')
  }
}
