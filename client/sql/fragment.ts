import { type Encoded, encodeValue } from './encode.ts'

/** What is sent beside the text. Arrays are Postgres' arrays, other objects JSON, bytes `bytea`. */
export type Value = string | number | bigint | boolean | null | Date | Uint8Array | readonly Value[] | object

/** What may stand in `${…}`. */
export type Param = Value | Sql<object>

/** As it goes to Postgres: `$1`, `$2` in the text, and what they stand for. */
export interface Compiled {
  readonly text: string
  readonly values: readonly Encoded[]
}

/** The protocol counts parameters in 16 bits. */
const PARAMETERS_MAX = 65_535

/** A statement, or a part of one, made by the tag `sql`; `Row` is the type of its rows. */
export class Sql<Row extends object = object> {
  /** For types only. */
  declare readonly row?: Row
  // Private: no object that came as JSON can pass for one.
  readonly #texts: readonly string[]
  readonly #params: readonly Param[]

  /** Used by `sql`, which checks that the texts are those of a template. */
  constructor(texts: readonly string[], params: readonly Param[]) {
    this.#texts = texts
    this.#params = params
    params.forEach((param, i) => {
      if (param === undefined)
        throw new TypeError(`parameter ${i + 1} of a statement is undefined: pass null`)
    })
  }

  /** Text that this library wrote or quoted itself. */
  static verbatim(text: string): Sql {
    return new Sql([text], [])
  }

  static isSql(value: unknown): value is Sql {
    return typeof value === 'object' && value !== null && #texts in value
  }

  /**
   * The text with `$1`, `$2`, … and the parameters, as they are sent.
   *
   * @throws TypeError for a parameter that has no meaning in SQL, or more than 65,535.
   */
  compile(): Compiled {
    const texts: string[] = []
    const values: Encoded[] = []
    this.appendTo(texts, values)
    if (values.length > PARAMETERS_MAX) {
      const hint = 'use arrays with unnest, or copyIn'
      throw new TypeError(`a statement has ${values.length} parameters, at most ${PARAMETERS_MAX}: ${hint}`)
    }
    return { text: texts.join(''), values }
  }

  /** Of a fragment in a statement. @internal */
  appendTo(texts: string[], values: Encoded[]): void {
    for (const [i, text] of this.#texts.entries()) {
      texts.push(text)
      if (i < this.#params.length) appendParam(this.#params[i] as Param, texts, values)
    }
  }
}

function appendParam(param: Param, texts: string[], values: Encoded[]): void {
  if (Sql.isSql(param)) return param.appendTo(texts, values)
  values.push(encodeValue(param))
  texts.push(`$${values.length}`)
}
