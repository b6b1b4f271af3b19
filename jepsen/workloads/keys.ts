import type { Random } from '../run/random.ts'

/** A few keys that are written at any time; one that has had its writes makes room for a new one. Its values are unique. */
export class KeyPool {
  private readonly active: number[]
  private readonly written = new Map<number, number>()
  private readonly writesMax: number
  private next: number

  constructor(active: number, writesMax: number) {
    this.active = Array.from({ length: active }, (_, i) => i)
    this.next = active
    this.writesMax = writesMax
  }

  pick(random: Random): number {
    return random.pick(this.active)
  }

  some(random: Random, count: number): number[] {
    return random.some(this.active, count)
  }

  /** The next value of the key; the last one retires it. */
  valueFor(key: number): number {
    const value = (this.written.get(key) ?? 0) + 1
    this.written.set(key, value)
    const at = this.active.indexOf(key)
    if (value >= this.writesMax && at >= 0) this.active[at] = this.next++
    return value
  }

  /** Every key there ever was. */
  get all(): number[] {
    return Array.from({ length: this.next }, (_, i) => i)
  }
}
