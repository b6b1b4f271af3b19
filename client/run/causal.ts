import { DatabaseError } from '../errors/errors.ts'
import type { Session } from '../pool/session.ts'
import { command } from './command.ts'

/** Undefined object: a plain Postgres, which knows no such setting and needs none. */
const UNKNOWN_SETTING = '42704'

/** What somebody has seen, over all the sessions they used: the highest of their causal tokens. */
export class Causal {
  #seen: bigint

  /** @throws TypeError for what is no token. */
  constructor(token = '') {
    if (!/^\d{0,20}$/.test(token)) throw new TypeError('a causal token is what token() gave')
    this.#seen = BigInt(token)
  }

  get token(): string {
    return this.#seen === 0n ? '' : String(this.#seen)
  }

  /** Ahead of its use: the session will not see less. */
  async tell(session: Session, limits: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    if (this.#seen <= session.causalFloor) return
    const seen = this.#seen
    await session.run(command(`SET weft.causal_token = '${seen}'`), limits)
    session.causalFloor = seen
  }

  /** After its use, whatever came of it. */
  async learn(session: Session): Promise<void> {
    if (!session.isOpen || session.status !== 'I') return
    const token = await show(session)
    if (token > this.#seen) this.#seen = token
    if (token > session.causalFloor) session.causalFloor = token
  }
}

async function show(session: Session): Promise<bigint> {
  try {
    const { rows } = await session.run(command('SHOW weft.causal_token'), {})
    return BigInt(Object.values(rows[0] ?? {})[0] ?? '0')
  } catch (error) {
    if (error instanceof DatabaseError && error.sqlstate === UNKNOWN_SETTING) return 0n
    throw error
  }
}
