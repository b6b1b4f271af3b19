import { describe, expect, test } from 'vitest'
import { AuthRules, type LoginAttempt, plainAddress } from './auth-rules.ts'

const attempt = (address: string, more: Partial<LoginAttempt> = {}): LoginAttempt => ({
  address,
  user: 'ann',
  database: 'shop',
  tls: false,
  ...more,
})

const rules = new AuthRules([
  { from: ['127.0.0.0/8', '::1'], method: 'trust' },
  { from: ['10.1.2.3'], method: 'reject' },
  { from: ['10.0.0.0/8', 'fd00::/8'], users: ['ann', 'bob'], method: 'scram-sha-256' },
  { from: ['0.0.0.0/0'], tls: 'require', method: 'scram-sha-256' },
])

describe('auth rules', () => {
  test.each([
    ['127.0.0.1', {}, 'trust'],
    ['127.255.0.9', {}, 'trust'],
    ['::1', {}, 'trust'],
    ['10.0.0.1', {}, 'scram-sha-256'],
    ['10.255.255.255', { user: 'bob' }, 'scram-sha-256'],
    ['fd00::17', {}, 'scram-sha-256'],
    ['192.168.0.1', { tls: true }, 'scram-sha-256'],
  ])('auth rules: %s %o: %s', (address, more, method) => {
    expect(rules.methodFor(attempt(address, more))).toBe(method)
  })

  test.each([
    ['10.1.2.3', {}, 'access rule rejects connection for host "10.1.2.3"'],
    [
      '10.0.0.1',
      { user: 'eve' },
      'no access rule for host "10.0.0.1", user "eve", database "shop", no encryption',
    ],
    ['192.168.0.1', {}, 'no access rule for host'],
    ['::2', { tls: true }, 'no access rule for host "::2", user "ann", database "shop", TLS encryption'],
    ['', {}, 'no access rule for host ""'],
  ])('auth rules: %s %o: 28000', (address, more, message) => {
    expect(() => rules.methodFor(attempt(address, more))).toThrow(
      expect.objectContaining({ code: '28000', message: expect.stringContaining(message) }),
    )
  })

  test('auth rules: all: IPv4 and IPv6', () => {
    const open = new AuthRules([{ from: ['all'], method: 'trust' }])
    expect(open.methodFor(attempt('8.8.8.8'))).toBe('trust')
    expect(open.methodFor(attempt('2001:db8::1'))).toBe('trust')
  })

  test.each(['10.0.0', '10.0.0.0/33', '::1/129', '10.0.0.0/', '10.0.0.0/8/8', 'localhost', '', '1.2.3.4/-1'])(
    'auth rules: from %j: refused at start',
    (from) => {
      expect(() => new AuthRules([{ from: [from], method: 'trust' }])).toThrow(`"${from}" in an access rule`)
    },
  )

  test('auth rules: IPv4 seen by an IPv6 socket: taken as IPv4', () => {
    expect(plainAddress('::ffff:10.0.0.1')).toBe('10.0.0.1')
    expect(plainAddress('::ffff:0:1')).toBe('::ffff:0:1')
  })
})
