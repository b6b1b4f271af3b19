import { isForbidden } from './levels.ts'
import type { CheckOptions, Found, Verdict } from './verdict.ts'

const FOUND_MAX = 8

/** Collects what a checker finds: of each kind the first few in words, all of them as a number. */
export class Judge {
  private readonly found: Found[] = []
  private readonly seen = new Map<string, number>()
  private readonly counts: Record<string, number> = {}
  private readonly notes: string[] = []
  private isSure = true

  find(kind: string, text: string, ops: readonly number[], svg?: string): void {
    const count = (this.seen.get(kind) ?? 0) + 1
    this.seen.set(kind, count)
    if (count <= FOUND_MAX) this.found.push({ kind, text, ops, ...(svg === undefined ? {} : { svg }) })
  }

  count(what: string, number: number): void {
    this.counts[what] = number
  }

  note(text: string): void {
    this.notes.push(text)
  }

  /** Something keeps the verdict from being true. */
  doubt(text: string): void {
    this.isSure = false
    this.notes.push(text)
  }

  /** All that was found is forbidden, or only what a level forbids. */
  verdict(options?: CheckOptions): Verdict {
    const isBad = ({ kind }: Found): boolean => options === undefined || isForbidden(kind, options)
    const anomalies = this.found.filter(isBad)
    const allowed = this.found.filter((found) => !isBad(found))
    return {
      valid: anomalies.length > 0 ? false : this.isSure || 'unknown',
      anomalies,
      allowed,
      counts: { ...this.counts, ...Object.fromEntries(this.seen) },
      notes: this.notes,
    }
  }
}
