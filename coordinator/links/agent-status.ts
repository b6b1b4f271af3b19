import type { AgentLink, AgentStatus } from '../../protocol/agent-link.ts'

/** What an agent says of itself, or why nothing is heard of it. */
export async function statusOf(
  link: AgentLink,
): Promise<AgentStatus | { shard: number; up: false; error: string }> {
  const { shard } = link
  try {
    const reply = await link.control({ kind: 'status' })
    return reply.kind === 'status' ? reply.status : { shard, up: false, error: 'no status' }
  } catch (error) {
    return { shard, up: false, error: error instanceof Error ? error.message : String(error) }
  }
}
