import type { PeerCertificate } from 'node:tls'
import { expect, test } from 'vitest'
import { actorOf, alternativeNames, type CertificateRule } from './client-certificate.ts'

const certificate = (subject: object, subjectaltname?: string) =>
  ({ subject, subjectaltname }) as unknown as PeerCertificate

const rules: readonly CertificateRule[] = [
  { role: 'admin', cn: 'ann' },
  { role: 'admin', ou: 'operators', san: 'DNS:ops.example.com' },
  { role: 'viewer', ou: 'operators' },
  { role: 'viewer', san: 'URI:spiffe://example.com/prometheus' },
]

test.each([
  [{ CN: 'ann' }, undefined, { name: 'ann', role: 'admin' }],
  [{ CN: 'bob', OU: 'operators' }, undefined, { name: 'bob', role: 'viewer' }],
  [{ CN: 'bob', OU: ['sales', 'operators'] }, 'DNS:ops.example.com', { name: 'bob', role: 'admin' }],
  [
    {},
    'URI:spiffe://example.com/prometheus',
    { name: 'URI:spiffe://example.com/prometheus', role: 'viewer' },
  ],
  [{ CN: 'Ann' }, undefined, undefined],
  [{ CN: 'eve', O: 'operators' }, 'DNS:ops.example.com.evil', undefined],
  [{ CN: 'eve' }, 'DNS:"x, URI:spiffe://example.com/prometheus"', undefined],
])('certificates: %j %s', (subject, names, actor) => {
  expect(actorOf(certificate(subject, names), rules)).toEqual(actor)
})

test('certificates: none', () => {
  expect(actorOf({}, [...rules, { role: 'admin' }])).toBeUndefined()
})

test('certificates: alternative names, quoted where they hold a comma', () => {
  expect(alternativeNames('DNS:localhost, IP Address:127.0.0.1, DNS:"a, DNS:b"')).toEqual([
    'DNS:localhost',
    'IP Address:127.0.0.1',
    'DNS:a, DNS:b',
  ])
  expect(alternativeNames('')).toEqual([])
})
