import type { PeerCertificate } from 'node:tls'
import type { Actor, AdminRole } from './auth.ts'

/** Whose certificate has all that is said here has the role. */
export interface CertificateRule {
  readonly role: AdminRole
  /** Common name. */
  readonly cn?: string
  /** One of its organizational units. */
  readonly ou?: string
  /** One of its alternative names, with its kind: `DNS:ops.example.com`, `URI:spiffe://…`. */
  readonly san?: string
}

type Subject = Readonly<Partial<Record<'CN' | 'OU', string | string[]>>>

/**
 * Who has a certificate that the connection has verified; undefined: the rules say nothing of it, or there is none: a
 * session of TLS 1.3 that is resumed counts as verified without one, too. The first rule that fits counts.
 */
export function actorOf(
  { subject, subjectaltname }: Partial<Pick<PeerCertificate, 'subject' | 'subjectaltname'>>,
  rules: readonly CertificateRule[],
): Actor | undefined {
  if (subject === undefined) return undefined
  const { CN, OU } = subject as unknown as Subject
  const names = alternativeNames(subjectaltname ?? '')
  const fits = ({ cn, ou, san }: CertificateRule): boolean =>
    (cn === undefined || all(CN).includes(cn)) &&
    (ou === undefined || all(OU).includes(ou)) &&
    (san === undefined || names.includes(san))
  const rule = rules.find(fits)
  if (rule === undefined) return undefined
  return { name: all(CN)[0] ?? names[0] ?? 'certificate', role: rule.role }
}

const all = (value: string | string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value

/** Node quotes a name that has anything in it which could be taken for the end of one. */
export function alternativeNames(text: string): string[] {
  const found = text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/g)
  return [...found].map(
    ([, kind, value = '']) => `${kind}:${value.startsWith('"') ? JSON.parse(value) : value}`,
  )
}
