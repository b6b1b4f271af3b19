/**
 * What the plans that Postgres keeps for a backend mean: those of prepared statements and of functions. PURE.
 * (docs/decisions/0009-what-plans-mean.md)
 */
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { CompiledCode } from './compiled-code.ts'

/** Postgres then reads the texts again, under the settings of the moment, when they are next used. */
export const DISCARD_PLANS = 'DISCARD PLANS'

export class KeptPlans {
  /** Of the settings under which all of them were made; undefined: of several. */
  private meaning: string | undefined = ''
  readonly compiled = new CompiledCode()

  fit({ settings }: ExecRequest): boolean {
    return this.meaning === (settings.meaning ?? settings.sql)
  }

  /** What follows the settings, so that plans mean the same. */
  preludeEnd(request: ExecRequest): string {
    return this.fit(request) ? '' : `;${DISCARD_PLANS}`
  }

  /** From here on they are made under these settings; those of another meaning have been, or are being, discarded. */
  madeFor({ settings }: ExecRequest): void {
    this.meaning = settings.meaning ?? settings.sql
  }

  /** None are left. */
  cleared(): void {
    this.meaning = ''
  }

  /** What runs now may make some under settings that nobody knows, and have code compiled. */
  sent({ unsettles, settings }: ExecRequest): void {
    if (unsettles) this.meaning = undefined
    this.compiled.note(settings)
  }
}
