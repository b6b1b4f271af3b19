import type { LinkEvents, News } from '../../protocol/agent-link.ts'

/** A coordinator that hangs does not hold up the others; it draws nothing ahead for as long. */
const HEARD_WITHIN_MS = 1_000

/** Resolves when all have heard, or after a second. */
export async function allHear(subscribers: readonly LinkEvents[], what: News): Promise<void> {
  const hearing = subscribers.flatMap((events) => events.news?.(what) ?? [])
  if (hearing.length === 0) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, HEARD_WITHIN_MS)
  })
  await Promise.race([Promise.all(hearing), late])
  clearTimeout(timer)
}
