/**
 * Under which search path a backend has compiled PL/pgSQL. The types in declarations (`v t%ROWTYPE`) are looked up then,
 * once, strings are read by `standard_conforming_strings`, and nothing makes Postgres forget, not even DISCARD ALL
 * (docs/decisions/0009-what-plans-mean.md). PURE.
 */
import type { Settings } from '../../protocol/agent-link.ts'

export class CompiledCode {
  /** undefined: none; null: under several. */
  private under: string | null | undefined

  /** False: what it has compiled may mean something else under these settings. */
  fits({ codePath }: Settings): boolean {
    return codePath === undefined || this.under === undefined || this.under === codePath
  }

  note({ codePath }: Settings): void {
    if (codePath === undefined || codePath === this.under) return
    this.under = this.under === undefined ? codePath : null
  }
}
