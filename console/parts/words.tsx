import type { ComponentChildren } from 'preact'

/** A state in words, with a mark whose shape tells it too. */
export function State({
  kind,
  children,
}: {
  kind: 'good' | 'warn' | 'bad' | 'quiet'
  children: ComponentChildren
}) {
  const mark = { good: '●', warn: '▲', bad: '■', quiet: '○' }[kind]
  return (
    <span class={`state ${kind}`}>
      <span aria-hidden="true">{mark}</span> {children}
    </span>
  )
}

/** What went wrong at the last try; nothing when nothing did. */
export function ErrorLine({ error }: { error: string | undefined }) {
  if (error === undefined) return null
  return (
    <p class="error" role="alert">
      {error}
    </p>
  )
}

export function Field({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
