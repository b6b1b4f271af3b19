import { expect, test } from 'vitest'
import { PgError } from '../errors/pg-error.ts'
import { SetupError } from '../errors/setup-error.ts'
import { explainShardError } from './explain.ts'
import { parseLog } from './log.ts'

const url = 'postgres://weft:secret@db.example.com:5433/app'
const explain = (code: string, message: string, hint?: string): SetupError => {
  const explained = explainShardError(new PgError({ code, message, hint }), 1, url, '--shard')
  expect(explained).toBeInstanceOf(SetupError)
  return explained as SetupError
}

test('explain: refusals of a shard: which server, what to do, no password', () => {
  const wrong = explain('28P01', 'password authentication failed for user "weft"')
  expect(wrong.message).toBe('shard 1 (db.example.com:5433): password authentication failed for user "weft"')
  expect(wrong.hint).toContain('--shard postgres://user:password@host')
  expect(explain('3D000', 'database "app" does not exist').hint).toContain('Create the database')
  expect(explain('42501', 'permission denied for database app').message).toContain('role "weft" may not')
  expect(explain('08006', 'no route').hint).toContain('Start that Postgres')
  expect(explain('55000', 'too old', 'Upgrade it.').hint).toBe('Upgrade it.')
  expect(explain('55000', 'too old').message).not.toContain('secret')
})

test('explain: anything that is no refusal of Postgres: left as it is', () => {
  const bug = new TypeError('x is not a function')
  expect(explainShardError(bug, 0, url, '--shard')).toBe(bug)
})

test('log flag: postgres, etcd and its endpoints; else refused', () => {
  expect(parseLog('postgres')).toEqual({ kind: 'postgres' })
  expect(parseLog('etcd:http://a:1,https://b:2/')).toEqual({
    kind: 'etcd',
    endpoints: ['http://a:1', 'https://b:2/'],
  })
  for (const text of ['', 'etcd', 'etcd:', 'etcd:a:1', 'etcd:http://a:1,,', 'paper']) {
    expect(() => parseLog(text), text).toThrow('is not understood')
  }
})
