import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ScramClient, type ScramCredentials } from '../../protocol/scram/scram-client.ts'
import { SCRAM_SHA_256 } from '../../protocol/scram/scram-messages.ts'
import { buildVerifier, deriveKeys, parseVerifier } from '../../protocol/scram/verifier.ts'
import { AUTH, parseErrorFields } from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../protocol/wire/frames.ts'
import { saslInitialResponse, saslResponse, startup } from '../../protocol/wire/frontend-messages.ts'
import { query, reload, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

/** Passwords on which SASLprep does something: mapped, composed, prohibited, right-to-left, newer than Unicode 3.2. */
const passwords = [
  'secret',
  ' ~\t',
  'Grüße',
  'u\u0308',
  'I\u00adX',
  '\u00aa',
  '\u2168',
  'a\u00a0b\u2003c\u200b',
  'bell\u0007\u00e9',
  '\u0627\u0031',
  '\u0627\u0031\u0628',
  '\u0627a\u0628',
  '\u00ad\u200d',
  '\ud83d\ude00\ufe0f',
  '\u2764\ufe0f',
  '\ue000x',
  '\u1e9e\u0323\u0307',
  '\uff30\uff21',
  '\ufdd0',
  '\u2028',
  '\u{1d400}',
  '\u{1f600}',
  '\u0221\u00ad',
]

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
  for (const [i, password] of passwords.entries()) {
    await query(server.url, `CREATE ROLE scram_${i} LOGIN PASSWORD ${pg.escapeLiteral(password)}`)
  }
  const hba = join(server.dataDir, 'pg_hba.conf')
  const rules = passwords.map((_, i) => `host all scram_${i} all scram-sha-256\n`).join('')
  await writeFile(hba, rules + (await readFile(hba, 'utf8')))
  await reload(server.url)
})
afterAll(() => server?.stop())

async function verifierOf(role: string): Promise<string> {
  const rows = await query(server.url, 'SELECT rolpassword FROM pg_authid WHERE rolname = $1', [role])
  return String(rows[0]?.rolpassword)
}

/** Logs in over a socket of its own; 'ok' or the SQLSTATE. */
async function login(user: string, credentials: ScramCredentials): Promise<string> {
  const socket = connect(server.port, server.host)
  try {
    return await converse(socket, user, credentials)
  } finally {
    socket.destroy()
  }
}

async function converse(socket: Socket, user: string, credentials: ScramCredentials): Promise<string> {
  const scram = new ScramClient({ credentials, nonce: randomBytes(18).toString('base64') })
  const reader = new FrameReader({ frameBytesMax: 65536 })
  socket.write(startup({ user, database: server.database }))
  for await (const chunk of socket) {
    reader.push(chunk as Buffer)
    while (reader.next()) {
      if (reader.type === MSG.errorResponse) {
        return parseErrorFields(reader.buffer, reader.bodyStart, reader.end).code
      }
      if (reader.type !== MSG.authentication) continue
      const data = reader.buffer.toString('utf8', reader.bodyStart + 4, reader.end)
      const code = reader.buffer.readInt32BE(reader.bodyStart)
      if (code === AUTH.ok) return 'ok'
      if (code === AUTH.sasl) socket.write(saslInitialResponse(SCRAM_SHA_256, scram.first()))
      if (code === AUTH.saslContinue) socket.write(saslResponse(scram.final(data)))
      if (code === AUTH.saslFinal) scram.verify(data)
    }
  }
  return 'closed'
}

describe('scram against a real Postgres', () => {
  test.each(passwords.map((p, i) => [JSON.stringify(p), p, i] as const))(
    'scram: password %s: our verifier is the one that Postgres stores, and we can log in',
    async (_name, password, i) => {
      const stored = await verifierOf(`scram_${i}`)
      const { salt, iterations } = parseVerifier(stored)!
      expect(buildVerifier(password, salt, iterations)).toBe(stored)
      expect(await login(`scram_${i}`, { password })).toBe('ok')
    },
  )

  test('scram: only ClientKey and ServerKey are known: accepted', async () => {
    const { salt, iterations } = parseVerifier(await verifierOf('scram_2'))!
    expect(await login('scram_2', deriveKeys('Grüße', salt, iterations))).toBe('ok')
  })

  test('scram: wrong password: 28P01', async () => {
    expect(await login('scram_0', { password: 'Secret' })).toBe('28P01')
  })

  test('scram: a role created with our verifier: Postgres lets its password in', async () => {
    const verifier = buildVerifier('Grüße', randomBytes(16), 4096)
    await query(server.url, `ALTER ROLE scram_1 PASSWORD '${verifier}'`)
    expect(await login('scram_1', { password: 'Grüße' })).toBe('ok')
  })
})
