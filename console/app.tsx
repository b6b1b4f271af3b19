import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Login } from './pages/login.tsx'
import { PAGES, type Page } from './pages/pages.ts'
import { Help } from './parts/help.tsx'
import { enter, logOut, lostAt, needsLogin, whoami } from './state/session.ts'
import { nextTheme, theme } from './state/theme.ts'

const pathNow = (): string => location.hash.replace(/^#\/?/, '')
const path = signal(pathNow())
const isHelpOpen = signal(false)
window.addEventListener('hashchange', () => {
  path.value = pathNow()
})

/** What this node can tell. */
const pages = (): readonly Page[] =>
  whoami.value?.node === 'agent' ? PAGES.filter(({ ofAgents }) => ofAgents) : PAGES
const pageOf = (at: string): Page => pages().find((page) => page.path === at) ?? PAGES[0]!

export function App() {
  useEffect(() => {
    void enter()
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])
  const { View, title, path: at } = pageOf(path.value)
  useEffect(() => {
    document.title = `${title} · Weft`
  }, [title])
  if (needsLogin.value) return <Login />
  if (whoami.value === undefined)
    return (
      <main class="login">
        <Lost />
      </main>
    )
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the content
      </button>
      <Menu at={at} />
      <main id="main" tabIndex={-1}>
        <Lost />
        <h1>{title}</h1>
        <View />
      </main>
      {isHelpOpen.value && (
        <Help
          pages={pages()}
          onClose={() => {
            isHelpOpen.value = false
          }}
        />
      )}
    </div>
  )
}

function Menu({ at }: { at: string }) {
  const { name, role, login } = whoami.value!
  return (
    <header>
      <strong class="brand">Weft</strong>
      <nav aria-label="Pages">
        {pages().map(({ path: to, title }) => (
          <a key={to} href={`#/${to}`} aria-current={to === at ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <div class="who">
        <span>
          {name} <span class="quiet">{role}</span>
        </span>
        <button type="button" onClick={nextTheme} title="Light, dark, or as the system (t)">
          {{ system: 'Auto', light: 'Light', dark: 'Dark' }[theme.value]}
        </button>
        <button
          type="button"
          aria-label="Keys"
          title="Keys (?)"
          onClick={() => {
            isHelpOpen.value = true
          }}
        >
          ?
        </button>
        {login && (
          <button type="button" onClick={logOut}>
            Log out
          </button>
        )}
      </div>
    </header>
  )
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

/** A node that is gone is said to be: what stands below it is from before. */
function Lost() {
  if (lostAt.value === undefined) return null
  return (
    <p class="error lost" role="alert">
      No answer from this node since {clock.format(lostAt.value)}. What is shown is from before; it is asked
      again.
    </p>
  )
}

function onKey(event: KeyboardEvent): void {
  const { key, target } = event
  const isTyping =
    target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]')
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]'))
    return
  const page = pages()[Number(key) - 1]
  if (page !== undefined) location.hash = `#/${page.path}`
  else if (key === '?') isHelpOpen.value = true
  else if (key === 't') nextTheme()
  else if (key === 'r') document.dispatchEvent(new Event('weft-refresh'))
  else if (key === '/') document.querySelector<HTMLElement>('input[type=search]')?.focus()
  else return
  event.preventDefault()
}
