import { useEffect, useState } from 'preact/hooks'
import type { ExplainedFile } from '../../admin/api/schemas.ts'
import { api, told } from '../state/session.ts'
import { ErrorLine, State } from './words.tsx'

type Explained = ExplainedFile['statements'][number]
type Step = NonNullable<Explained['steps']>[number]

/** How a statement is run, as the planner of the node says; it is not run, and no shard is asked. */
export function PlanTree({ text }: { text: string }) {
  const [answer, setAnswer] = useState<ExplainedFile | undefined>()
  const [error, setError] = useState<string | undefined>()
  useEffect(() => {
    api.post('/api/explain', { text }).then(setAnswer, (reason: unknown) => setError(told(reason)))
  }, [text])
  const explained = answer?.statements[0]
  return (
    <div class="plan">
      <ErrorLine error={error} />
      {explained && <Told explained={explained} />}
    </div>
  )
}

function Told({ explained: { reach, why, id, hint, steps = [] } }: { explained: Explained }) {
  if (reach === 'refused') {
    return (
      <State kind="warn">
        Not explained with the search path public: {why} ({id}). {hint}
      </State>
    )
  }
  if (steps.length === 0) return <p class="note">{why}</p>
  const [root] = nested(steps)
  return <ul class="tree">{root && <Branch branch={root} />}</ul>
}

interface Nested {
  readonly step: Step
  readonly below: Nested[]
}

/** From a list in which each step comes before those that are deeper. */
function nested(steps: readonly Step[]): Nested[] {
  const top: Nested[] = []
  const open: Nested[] = []
  for (const step of steps) {
    const one = { step, below: [] }
    ;(step.depth === 0 ? top : (open[step.depth - 1]?.below ?? top)).push(one)
    open[step.depth] = one
  }
  return top
}

function Branch({ branch: { step, below } }: { branch: Nested }) {
  return (
    <li>
      <span>{step.what}</span>
      {step.sql !== undefined && (
        <details>
          <summary>text that is sent</summary>
          <pre>{step.sql}</pre>
        </details>
      )}
      {below.length > 0 && (
        <ul>
          {below.map((one) => (
            <Branch key={`${one.step.what} ${one.step.sql}`} branch={one} />
          ))}
        </ul>
      )}
    </li>
  )
}
