interface SimRun {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
}

const eventsOfAll =
  /( dies| pauses| back| is up| serves| clock is| loses its link| nothing passes| is un|VIOLATION)/

/** The seed, what went wrong, and what happened to the transactions concerned and to everybody. */
export function explain(what: string, seed: number, { violations, trace }: SimRun, id: RegExp): string {
  const ids = new Set(violations.flatMap((violation) => violation.match(id) ?? []))
  const about = trace.filter(
    (line) => eventsOfAll.test(line) || (line.match(id) ?? []).some((one) => ids.has(one)),
  )
  return [`${what}, seed ${seed}:`, ...violations.slice(0, 20), ...about].join('\n')
}

export const commitIds = /\bc\d+-[0-9a-z]+-[0-9a-z]+\b/g
export const cutIds = /\bt\d+\b/g
export const ssiIds = /\bx\d+\b/g
