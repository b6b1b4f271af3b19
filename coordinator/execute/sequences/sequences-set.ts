import { SEQUENCES } from '../../../protocol/agent-link.ts'
import { type ExecContext, HOME } from '../context.ts'

/**
 * A statement may have set sequences, for everybody and at once: what was drawn ahead of it is nobody's any more, here
 * and on other coordinators, before its client is answered. Where code does not tell what it does nobody waits for the
 * others. One that does not hear of it goes on with what it has, as with CACHE in Postgres.
 */
export async function sequencesSet({ node }: ExecContext, mask: number): Promise<void> {
  node.draws.forget()
  const told = node.links[HOME]!.control({ kind: 'news', what: 'sequences' }).catch(() => {})
  if ((mask & SEQUENCES.setsAsSaid) !== 0) await told
}
