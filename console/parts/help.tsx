import { useEffect, useRef } from 'preact/hooks'
import type { Page } from '../pages/pages.ts'

const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'to the filter of the page'],
  ['r', 'ask for everything anew'],
  ['t', 'light, dark, or as the system'],
  ['?', 'this list'],
  ['Esc', 'close'],
]

/** Which keys do what. */
export function Help({ pages, onClose }: { pages: readonly Page[]; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="help">
      <h2 id="help">Keys</h2>
      <dl class="fields keys">
        {pages.map(({ title }, i) => (
          <div class="field" key={title}>
            <dt>
              <kbd>{i + 1}</kbd>
            </dt>
            <dd>{title}</dd>
          </div>
        ))}
        {KEYS.map(([key, does]) => (
          <div class="field" key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  )
}
