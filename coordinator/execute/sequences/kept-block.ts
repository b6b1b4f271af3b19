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
  private given = 0

  constructor(ageNow: () => string) {
    this.ageNow = ageNow
  }

  /** CACHE of the sequences, as far as that is known. */
  get cache(): number {
    return this.isValid ? this.cached : 1
  }

  /** Rows since something made the last ones void, about. */
  get used(): number {
    return this.isValid ? this.given : 0
  }

  get isWorthKeeping(): boolean {
    return this.isValid && (this.cached > 1 || this.given > 0 || this.next < this.rows.length)
  }

  private get isValid(): boolean {
    return this.age === this.ageNow()
  }

  /** As many, or what is left. */
  take(count: number): readonly TextRow[] {
    if (!this.isValid || this.next === this.rows.length) return NONE
    const taken = this.rows.slice(this.next, this.next + count)
    this.next += taken.length
    this.given += taken.length
    return taken
  }

  /** What is to be said before rows are drawn that may be kept. */
  begin(): string {
    return this.ageNow()
  }

  /** `used`: as many others, drawn with them, were wanted at once. `age`: of before they were drawn. */
  keep(rows: readonly TextRow[], cache: number, age: string, used: number): void {
    this.given = (age === this.age ? this.given : 0) + used
    if (rows.length > 0) {
      this.rows = rows
      this.next = 0
    } else if (age !== this.age) this.rows = NONE
    this.age = age
    this.cached = cache
  }
}
