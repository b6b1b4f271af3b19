import { describe, expect, test } from 'vitest'
import { ScramClient, type ScramClientOptions } from './scram-client.ts'
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from './scram-messages.ts'
import { ScramServer, type ScramServerOptions } from './scram-server.ts'
import { buildVerifier, deriveKeys, mockVerifier, parseVerifier, type ScramVerifier } from './verifier.ts'

// The example of RFC 7677, section 3.
const rfc = {
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}
const salt = Buffer.from(rfc.salt, 'base64')
// A verifier of few iterations: these tests are not about PBKDF2.
const verifierText = buildVerifier('pencil', salt, 10)
const verifier = parseVerifier(verifierText)!
const endPoint = Buffer.alloc(32, 5)

function server(options: Partial<ScramServerOptions> = {}): ScramServer {
  return new ScramServer({ verifier, doomed: false, mechanism: SCRAM_SHA_256, nonce: 'server', ...options })
}

function client(options: Partial<ScramClientOptions> = {}): ScramClient {
  return new ScramClient({ credentials: { password: 'pencil' }, nonce: 'client', ...options })
}

function exchange(c: ScramClient, s: ScramServer) {
  const result = s.final(c.final(s.first(c.first())))
  if (result.kind === 'accepted') c.verify(result.serverFinal)
  return result
}

describe('scram server', () => {
  const rfcServer = () =>
    server({ verifier: parseVerifier(buildVerifier('pencil', salt, 4096))!, nonce: rfc.serverNonce })

  test('scram: the example of RFC 7677: the same messages, and the keys recovered', () => {
    const s = rfcServer()
    expect(s.first(rfc.clientFirst)).toBe(rfc.serverFirst)
    expect(s.final(rfc.clientFinal)).toEqual({
      kind: 'accepted',
      serverFinal: rfc.serverFinal,
      keys: deriveKeys('pencil', salt, 4096),
    })
  })

  test('scram: right password: accepted on both sides', () => {
    expect(exchange(client(), server()).kind).toBe('accepted')
  })

  test('scram: keys in place of the password: accepted', () => {
    expect(exchange(client({ credentials: deriveKeys('pencil', salt, 10) }), server()).kind).toBe('accepted')
  })

  test('scram: wrong password: refused', () => {
    expect(exchange(client({ credentials: { password: 'pen' } }), server())).toEqual({ kind: 'refused' })
  })

  test('scram: doomed: refused in spite of the right password', () => {
    expect(exchange(client(), server({ doomed: true }))).toEqual({ kind: 'refused' })
  })

  test('scram: mock verifier: the same shape, the same salt each time, never accepted', () => {
    const secret = Buffer.alloc(32, 1)
    const mock = mockVerifier('ann', secret)
    expect(mockVerifier('ann', secret)).toEqual(mock)
    expect(mockVerifier('bob', secret).salt).not.toEqual(mock.salt)
    const shape = (v: ScramVerifier) => [v.iterations, v.salt.length, v.storedKey.length, v.serverKey.length]
    expect(shape(mock)).toEqual(shape(parseVerifier(buildVerifier('x', salt, 4096))!))
    expect(exchange(client(), server({ verifier: mock, doomed: true })).kind).toBe('refused')
  })

  test('scram: channel binding over TLS: accepted, and refused for another certificate', () => {
    const bound = server({ mechanism: SCRAM_SHA_256_PLUS, serverEndPoint: endPoint })
    expect(exchange(client({ serverEndPoint: endPoint }), bound).kind).toBe('accepted')
    const other = server({ mechanism: SCRAM_SHA_256_PLUS, serverEndPoint: Buffer.alloc(32, 6) })
    expect(() => exchange(client({ serverEndPoint: endPoint }), other)).toThrow(
      expect.objectContaining({ code: '28000', message: 'SCRAM channel binding check failed' }),
    )
  })

  test('scram: client says "y" though binding was offered: a downgrade, refused', () => {
    expect(() => server({ serverEndPoint: endPoint }).first('y,,n=,r=abc')).toThrow(
      expect.objectContaining({ code: '28000' }),
    )
  })

  test('scram: client says "y" and binding was not offered: goes on, c=eSws', () => {
    const s = server()
    const c = client()
    const plain = c.final(s.first(`y${c.first().slice(1)}`))
    expect(() => s.final(plain)).toThrow('malformed SCRAM message') // it says c=biws
    expect(() => s.final(plain.replace('c=biws', 'c=eSws'))).not.toThrow()
  })

  test.each([
    ['', '08P01'],
    ['n', '08P01'],
    ['n,,', '08P01'],
    ['n,,n=', '08P01'],
    ['n,,n=,r=', '08P01'],
    ['n,,n=,r=a\x7f', '08P01'],
    ['n,a=bob,n=,r=abc', '0A000'],
    ['n,x=bob,n=,r=abc', '08P01'],
    ['n,,m=1,n=,r=abc', '0A000'],
    ['p=tls-server-end-point,,n=,r=abc', '08P01'],
    ['q,,n=,r=abc', '08P01'],
    ['n,,n=\0,r=abc', '08P01'],
  ])('scram: client-first %j: %s', (message, code) => {
    expect(() => server().first(message)).toThrow(expect.objectContaining({ code }))
  })

  test.each([
    [SCRAM_SHA_256_PLUS, 'n,,n=,r=abc'],
    [SCRAM_SHA_256_PLUS, 'p=tls-unique,,n=,r=abc'],
  ])('scram: %s with %s: 08P01', (mechanism, message) => {
    const s = server({ mechanism, serverEndPoint: endPoint })
    expect(() => s.first(message)).toThrow(expect.objectContaining({ code: '08P01' }))
  })

  test.each([
    (final: string) => final.replace('r=client', 'r=klient'),
    (final: string) => final.replace(/,p=.*/, ''),
    (final: string) => final.replace(/p=.*/, 'p=AAAA'),
    (final: string) => final.replace(/p=.*/, 'p=!!!!'),
    (final: string) => `${final},x=1`,
    (final: string) => final.replace('c=biws', 'c=eSws'),
    () => '',
    () => 'c',
    () => 'r=,c=',
  ])('scram: client-final spoiled %#: 08P01, no crash', (spoil) => {
    const s = server()
    const final = client().final(s.first(client().first()))
    expect(() => s.final(spoil(final))).toThrow(expect.objectContaining({ code: '08P01' }))
  })
})

describe('scram client', () => {
  test.each([
    'r=other,s=QUJD,i=10',
    'r=client,s=QUJD,i=10',
    'r=client1,s=,i=10',
    'r=client1,s=QUJD,i=0',
    'r=client1,s=QUJD,i=99999999',
    'r=client1,s=QUJD,i=x',
    's=QUJD,i=10',
    '',
  ])('scram: server-first %j: 08P01', (message) => {
    expect(() => client().final(message)).toThrow(expect.objectContaining({ code: '08P01' }))
  })

  test('scram: a server that does not know the keys: refused', () => {
    const c = client()
    c.final(server().first(c.first()))
    expect(() => c.verify(`v=${Buffer.alloc(32).toString('base64')}`)).toThrow('incorrect server signature')
    expect(() => c.verify('e=other-error')).toThrow('other-error')
  })
})

describe('verifier', () => {
  test('verifier: as text and back: the same', () => {
    expect(verifierText).toMatch(/^SCRAM-SHA-256\$10:W22ZaJ0SNY7soEsUEjb6gQ==\$[^:]{44}:[^:]{44}$/)
    expect(verifier).toMatchObject({ iterations: 10, salt })
  })

  test.each(['', 'md5abc', 'SCRAM-SHA-256$4096:AA==$AA==:AA==', verifierText.replace('$10:', '$0:')])(
    'verifier: %j: none',
    (text) => {
      expect(parseVerifier(text)).toBeUndefined()
    },
  )
})
