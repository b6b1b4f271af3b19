import { ClientError, OutcomeUnknown } from '../errors/errors.ts'
import type { Db } from '../run/db.ts'
import type { Transaction } from '../run/transaction.ts'
import { sql } from '../sql/sql.ts'

/** One step of a saga. */
export interface SagaStep<Input> {
  /** Told to `call`, in its key; unique in its saga. */
  readonly name: string
  /**
   * Work that no transaction reaches, ahead of `run`. After a crash it is called again: the other side shall know `key`
   * (the saga's id and the step's name) and do it once.
   */
  readonly call?: (input: Input, key: string) => Promise<unknown>
  /**
   * What the step does in the database, exactly once: it commits with the note that it is done. `called` is what `call`
   * gave. Like every transaction it may run again after a conflict.
   */
  readonly run?: (tx: Transaction, input: Input, called: unknown) => Promise<unknown>
  /** As `call`, when the saga is undone, also of a step that failed: nothing may have been done. */
  readonly uncall?: (input: Input, key: string) => Promise<unknown>
  /** Takes back what `run` did, exactly once. */
  readonly undo?: (tx: Transaction, input: Input) => Promise<unknown>
  /**
   * What follows when `call` or `run` throws: `undo` of the saga (the default), or `retry`. That is for what shall be done
   * in any case, as a message is sent: the error is told, and `resume` tries the step again when the lease is over.
   */
  readonly onError?: 'undo' | 'retry'
}

/** What became of a saga: all its steps are done, or those that were are undone. */
export type SagaOutcome = 'done' | 'undone'

/** Somebody else works on this saga, and its lease is not over. */
export class SagaBusy extends ClientError {}

/** Where a saga stands written, and for how long a worker may be silent. */
export interface SagaOptions {
  /** The table, made beforehand, see docs/client.md. Default `sagas`. */
  readonly table?: string
  /** For a step to end, in milliseconds; later others may take the saga over. Default 60,000. */
  readonly leaseMs?: number
}

interface Row {
  readonly input: unknown
  readonly state: 'running' | 'undoing' | SagaOutcome
  readonly step: number
  readonly turn: number
}

/**
 * Work in several steps, each a transaction of its own, that is either done or taken back. Where it stands is a row of a
 * table that changes with each step, so it goes on after a crash, wherever `run` or `resume` is called, and no step's
 * changes in the database are made twice, even after a COMMIT whose outcome was unknown.
 *
 * @example
 * const order = new Saga<{ id: number }>(db, 'order', [
 *   { name: 'reserve', run: (tx, { id }) => tx.query(sql`…`), undo: (tx, { id }) => tx.query(sql`…`) },
 *   { name: 'charge', call: ({ id }, key) => charge(id, { idempotencyKey: key }) },
 * ])
 * const outcome = await order.run('order-7', { id: 7 })
 */
export class Saga<Input> {
  readonly #db: Db
  readonly #name: string
  readonly #steps: readonly SagaStep<Input>[]
  readonly #table: ReturnType<typeof sql.id>
  readonly #leaseMs: number

  constructor(db: Db, name: string, steps: readonly SagaStep<Input>[], options: SagaOptions = {}) {
    if (new Set(steps.map((step) => step.name)).size !== steps.length)
      throw new TypeError('two steps have one name')
    this.#db = db
    this.#name = name
    this.#steps = steps
    this.#table = sql.id(options.table ?? 'sagas')
    this.#leaseMs = options.leaseMs ?? 60_000
  }

  /**
   * Begins the saga of this id, or goes on with it; one that has ended is not run again. `input` counts at the first time.
   *
   * @throws SagaBusy; what undoing, or a step that is to be tried again, throws, after which `resume` goes on.
   * @example await order.run('order-7', { id: 7 })
   */
  async run(id: string, input: Input): Promise<SagaOutcome> {
    await this.#db
      .query(sql`INSERT INTO ${this.#table} (id, name, input, state, step, turn, leased_until)
      VALUES (${id}, ${this.#name}, ${sql.json(input)}, 'running', 0, 0, now()) ON CONFLICT (id) DO NOTHING`)
      .catch(unlessRead)
    return this.#goOn(id)
  }

  /**
   * Goes on with all sagas of this name whose worker is gone; gives what became of each. One that throws stops no other.
   *
   * @throws AggregateError when all have had their turn: of what undoing, or steps that are to be tried again, threw.
   * @example setInterval(() => order.resume(), 60_000)
   */
  async resume(): Promise<ReadonlyMap<string, SagaOutcome>> {
    const left = await this.#db.many(sql<{ id: string }>`SELECT id FROM ${this.#table}
      WHERE name = ${this.#name} AND state IN ('running', 'undoing') AND leased_until <= now() ORDER BY id`)
    const outcomes = new Map<string, SagaOutcome>()
    const errors: unknown[] = []
    for (const { id } of left) {
      try {
        outcomes.set(id, await this.#goOn(id))
      } catch (error) {
        if (!(error instanceof SagaBusy)) errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} of ${left.length} sagas failed`)
    return outcomes
  }

  async #goOn(id: string): Promise<SagaOutcome> {
    for (let row = await this.#take(id); ; row = await this.#read(id, row.turn)) {
      if (row.state === 'done' || row.state === 'undone') return row.state
      const move = row.state === 'running' ? this.#forward(id, row) : this.#backward(id, row)
      // The row says whether it was committed, and whose turn it is.
      await move.catch(unlessRead)
    }
  }

  async #forward(id: string, row: Row): Promise<void> {
    const step = this.#steps[row.step]
    if (step === undefined) return this.#move(id, row, 'done', row.step)
    const input = row.input as Input
    try {
      const called = await step.call?.(input, `${id}/${step.name}`)
      await this.#move(id, row, 'running', row.step + 1, (tx) => step.run?.(tx, input, called))
    } catch (error) {
      if (error instanceof OutcomeUnknown || error instanceof SagaBusy || step.onError === 'retry')
        throw error
      await step.uncall?.(input, `${id}/${step.name}`)
      await this.#move(id, row, 'undoing', row.step)
    }
  }

  /** Steps below `step` are to be undone. */
  async #backward(id: string, row: Row): Promise<void> {
    const step = this.#steps[row.step - 1]
    if (step === undefined) return this.#move(id, row, 'undone', 0)
    const input = row.input as Input
    await step.uncall?.(input, `${id}/${step.name}`)
    await this.#move(id, row, 'undoing', row.step - 1, (tx) => step.undo?.(tx, input))
  }

  /** A step's work and the note that it is done, in one transaction; only by whoever has the turn, and once. */
  async #move(
    id: string,
    { state, step, turn }: Row,
    nextState: Row['state'],
    nextStep: number,
    work: (tx: Transaction) => Promise<unknown> | undefined = async () => undefined,
  ): Promise<void> {
    await this.#db.transaction(async (tx) => {
      const { count } = await tx.query(sql`UPDATE ${this.#table}
        SET state = ${nextState}, step = ${nextStep}, leased_until = ${this.#lease()}
        WHERE id = ${id} AND turn = ${turn} AND state = ${state} AND step = ${step}`)
      if (count !== 1) throw new SagaBusy(`saga ${id} was taken over`)
      await work(tx)
    })
  }

  #lease(): ReturnType<typeof sql> {
    return sql`now() + ${this.#leaseMs}::float8 * interval '1 millisecond'`
  }

  /** Takes the turn from a worker whose lease is over. */
  async #take(id: string): Promise<Row> {
    const taken =
      await this.#db.maybe(sql<Row>`UPDATE ${this.#table} SET turn = turn + 1, leased_until = ${this.#lease()}
      WHERE id = ${id} AND (leased_until <= now() OR state IN ('done', 'undone')) RETURNING input, state, step, turn`)
    if (taken === undefined) throw new SagaBusy(`saga ${id} is at work elsewhere`)
    return taken
  }

  async #read(id: string, turn: number): Promise<Row> {
    const row = await this.#db.one(
      sql<Row>`SELECT input, state, step, turn FROM ${this.#table} WHERE id = ${id}`,
    )
    if (row.turn !== turn) throw new SagaBusy(`saga ${id} was taken over`)
    return row
  }
}

function unlessRead(error: unknown): void {
  if (!(error instanceof OutcomeUnknown || error instanceof SagaBusy)) throw error
}
