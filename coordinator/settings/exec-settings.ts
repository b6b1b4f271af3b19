import type { Settings } from '../../protocol/agent-link.ts'
import type { Code } from '../../sql/code/code-graph.ts'
import type { CustomUse } from '../../sql/code/custom-settings.ts'
import { compiling } from './compiling-settings.ts'
import { keeping, using } from './custom-names.ts'

/**
 * The session's settings with what an exec may do to its backend. `later`: the code that may run there when the exec is over
 * and the session still has it; undefined: it has not.
 */
export function execSettings(
  settings: Settings,
  compiles: boolean,
  custom: CustomUse | undefined,
  later: Code | undefined,
): Settings {
  let made = settings
  if (compiles || later?.compiles === true) made = compiling(made)
  if (custom !== undefined) made = using(made, custom)
  return later?.customAsks === undefined ? made : keeping(made, later.customAsks)
}
