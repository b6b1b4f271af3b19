import { useState } from 'preact/hooks'
import { ErrorLine } from '../parts/words.tsx'
import { logIn, loginError } from '../state/session.ts'

/** By a token of the configuration (admin.tokens). It stays in this tab. */
export function Login() {
  const [text, setText] = useState('')
  const [isAsking, setAsking] = useState(false)
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    setAsking(true)
    await logIn(text.trim())
    setAsking(false)
  }
  return (
    <main class="login">
      <form class="panel" onSubmit={(event) => void send(event)}>
        <h1>Weft</h1>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <ErrorLine error={loginError.value} />
        <button type="submit" class="primary" disabled={isAsking || text.trim() === ''}>
          Log in
        </button>
        <p class="note">One of admin.tokens in the node’s configuration. It is kept in this tab only.</p>
      </form>
    </main>
  )
}
