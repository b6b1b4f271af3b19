/** Who may log in from where, and how: pg_hba.conf in short. The first rule that matches decides. */
import { BlockList, isIP } from 'node:net'
import { PgError } from '../../errors/pg-error.ts'

export type AuthMethod = 'trust' | 'scram-sha-256' | 'reject'

export interface AuthRule {
  /** `10.0.0.0/8`, `::1/128`, `192.168.1.7`, or `all`. */
  readonly from: readonly string[]
  /** Role names; left out: every role. */
  readonly users?: readonly string[]
  /** The rule only matches connections with TLS. */
  readonly tls?: 'require'
  readonly method: AuthMethod
}

export interface LoginAttempt {
  readonly address: string
  readonly user: string
  readonly database: string
  readonly tls: boolean
}

interface CompiledRule {
  readonly rule: AuthRule
  readonly anywhere: boolean
  readonly networks: BlockList
  readonly users: ReadonlySet<string> | undefined
}

export class AuthRules {
  readonly #rules: readonly CompiledRule[]

  /** Throws an Error that names the rule when an address isn't one: configuration is checked at start. */
  constructor(rules: readonly AuthRule[]) {
    this.#rules = rules.map(compile)
  }

  /** The method for an attempt; throws 28000 when it is turned away. */
  methodFor(attempt: LoginAttempt): 'trust' | 'scram-sha-256' {
    const method = this.#rules.find((compiled) => matches(compiled, attempt))?.rule.method
    if (method === undefined) throw turnedAway('no access rule for', attempt)
    if (method === 'reject') throw turnedAway('access rule rejects connection for', attempt)
    return method
  }
}

/** An IPv4 client of a dual-stack socket shows as `::ffff:10.0.0.1`. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

function matches({ rule, anywhere, networks, users }: CompiledRule, attempt: LoginAttempt): boolean {
  if (rule.tls === 'require' && !attempt.tls) return false
  if (users !== undefined && !users.has(attempt.user)) return false
  if (anywhere) return true
  const family = isIP(attempt.address)
  return family !== 0 && networks.check(attempt.address, family === 4 ? 'ipv4' : 'ipv6')
}

function compile(rule: AuthRule): CompiledRule {
  const networks = new BlockList()
  for (const from of rule.from) if (from !== 'all') addNetwork(networks, from)
  const users = rule.users === undefined ? undefined : new Set(rule.users)
  return { rule, anywhere: rule.from.includes('all'), networks, users }
}

function addNetwork(networks: BlockList, from: string): void {
  const [address = '', prefixText, ...more] = from.split('/')
  const family = isIP(address)
  const prefixMax = family === 4 ? 32 : 128
  const prefix = prefixText === undefined ? prefixMax : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1
  if (family === 0 || more.length > 0 || prefix < 0 || prefix > prefixMax) {
    throw new Error(`"${from}" in an access rule is not an address, a network such as 10.0.0.0/8, or "all"`)
  }
  networks.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
}

function turnedAway(what: string, { address, user, database, tls }: LoginAttempt): PgError {
  const encryption = tls ? 'TLS encryption' : 'no encryption'
  return new PgError({
    severity: 'FATAL',
    code: '28000',
    message: `${what} host "${address}", user "${user}", database "${database}", ${encryption}`,
    hint: 'The access rules are in the configuration of the Weft node.',
  })
}
