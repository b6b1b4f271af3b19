import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { told } from '../state/session.ts'
import { ErrorLine } from './words.tsx'

export interface ConfirmProps {
  readonly title: string
  /** What it does, and what it does not. */
  readonly children: ComponentChildren
  /** On the button. */
  readonly action: string
  /** Resolves with what came of it. */
  readonly run: () => Promise<string>
  readonly onClose: (result?: string) => void
}

/** Asks before something is changed, and tells what went wrong. */
export function Confirm({ title, children, action, run, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [error, setError] = useState<string | undefined>()
  const [isRunning, setRunning] = useState(false)
  useEffect(() => dialog.current?.showModal(), [])
  const go = async (event: Event): Promise<void> => {
    event.preventDefault()
    setRunning(true)
    try {
      onClose(await run())
    } catch (reason) {
      setError(told(reason))
      setRunning(false)
    }
  }
  return (
    <dialog ref={dialog} onClose={() => onClose()} aria-labelledby="confirm">
      <h2 id="confirm">{title}</h2>
      {children}
      <ErrorLine error={error} />
      <form onSubmit={(event) => void go(event)}>
        <button type="button" onClick={() => onClose()}>
          Leave it
        </button>
        <button type="submit" class="primary" disabled={isRunning}>
          {action}
        </button>
      </form>
    </dialog>
  )
}
