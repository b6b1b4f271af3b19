import type { TextRow } from '../../catalog/internal-connection.ts'

const NONE: readonly TextRow[] = []

/** Rows of values that were drawn ahead, in their order, until something happens by which they are void. */
export class KeptBlock {
  /** Changes with what makes them void. */
  private readonly ageNow: () => string
  private age = ''
  private rows = NONE
  private next = 0
  private cached = 1

  constructor(ageNow: () => string) {
    this.ageNow = ageNow
  }

  /** CACHE of the sequences, as far as that is known. */
  get cache(): number {
    return this.isValid ? this.cached : 1
  }

  get isWorthKeeping(): boolean {
    return this.isValid && (this.cached > 1 || this.next < this.rows.length)
  }

  private get isValid(): boolean {
    return this.age === this.ageNow()
  }

  /** Undefined: there are not as many left. Those that are left are nobody's then: values rise. */
  take(count: number): readonly TextRow[] | undefined {
    const { rows, next } = this
    if (!this.isValid || rows.length - next < count) {
      this.rows = NONE
      this.next = 0
      return undefined
    }
    this.next += count
    return rows.slice(next, this.next)
  }

  /** What is to be said before rows are drawn that may be kept. */
  begin(): string {
    return this.ageNow()
  }

  /** `age`: of before they were drawn. */
  keep(rows: readonly TextRow[], cache: number, age: string): void {
    if (rows.length > 0) {
      this.rows = rows
      this.next = 0
    } else if (age !== this.age) this.rows = NONE
    this.age = age
    this.cached = cache
  }
}
