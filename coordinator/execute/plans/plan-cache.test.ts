import { describe, expect, test } from 'vitest'
import { Lexed } from '../../../sql/lex/lexed.ts'
import { lexStatement } from '../../../sql/lex/scan.ts'
import { type CacheScope, PlanCache, type PlanCacheLimits } from './plan-cache.ts'

interface TestPlan {
  readonly generic: boolean
  readonly name: string
}

const lexed = new Lexed()

/** A cache with texts in place of buffers; every text lies somewhere inside a bigger buffer. */
class Bench {
  readonly cache: PlanCache<TestPlan>
  scope: CacheScope

  constructor(limits: Partial<PlanCacheLimits> = {}) {
    this.cache = new PlanCache<TestPlan>(limits)
    this.scope = this.cache.scope(1, ['public'])
  }

  find(text: string, scope = this.scope): string | undefined {
    const buf = lex(text)
    return this.cache.lookup(scope, buf, 2, buf.length - 1, lexed)?.name
  }

  keep(text: string, name: string, generic = true, scope = this.scope): void {
    const buf = lex(text)
    this.cache.insert(scope, buf, 2, buf.length - 1, lexed, { name, generic })
  }
}

function lex(text: string): Buffer {
  const buf = Buffer.from(`##${text}#`)
  lexStatement(buf, 2, buf.length - 1, lexed)
  return buf
}

describe('plan cache', () => {
  test('plan cache: generic plan, other literals: found', () => {
    const bench = new Bench()
    bench.keep("select * from t where a = 1 and b = 'x'", 'p')
    expect(bench.find("select * from t where a = 4711 and b = 'it''s longer'")).toBe('p')
    expect(bench.find("select * from t where a = 1.5 and b = 'x'")).toBeUndefined()
    expect(bench.find("select * from t where c = 1 and b = 'x'")).toBeUndefined()
    expect(bench.find("select * from t where a = 1 and b = 'x' ")).toBeUndefined()
    expect(bench.cache.stats).toMatchObject({ hits: 1, misses: 3, size: 1 })
  })

  test('plan cache: plan for its exact text: found for that alone, several variants kept', () => {
    const bench = new Bench({ variantsMax: 3 })
    for (const n of [1, 2, 3]) bench.keep(`select * from t limit ${n}`, `p${n}`, false)
    expect([1, 2, 3, 4].map((n) => bench.find(`select * from t limit ${n}`))).toEqual([
      'p1',
      'p2',
      'p3',
      undefined,
    ])
    bench.keep('select * from t limit 4', 'p4', false)
    expect([1, 2, 3, 4].map((n) => bench.find(`select * from t limit ${n}`))).toEqual([
      undefined,
      'p2',
      'p3',
      'p4',
    ])
    bench.keep('select * from t limit 4', 'again', false)
    expect(bench.find('select * from t limit 4')).toBe('again')
    expect(bench.cache.stats.size).toBe(3)
  })

  test('plan cache: equal hashes of different texts: told apart', () => {
    const bench = new Bench()
    const collide = (text: string, act: (buf: Buffer) => void): void => {
      const buf = lex(text)
      lexed.hashA = 7
      lexed.hashB = 9
      act(buf)
    }
    const find = (text: string): string | undefined => {
      let found: TestPlan | undefined
      collide(text, (buf) => {
        found = bench.cache.lookup(bench.scope, buf, 2, buf.length - 1, lexed)
      })
      return found?.name
    }
    const texts = [
      'select 1',
      'select 1,1',
      "select 'a'",
      'selekt 1',
      'select 1 ',
      ' select 1',
      `select ${'a'.repeat(200)}, 1`,
    ]
    for (const text of texts) {
      collide(text, (buf) =>
        bench.cache.insert(bench.scope, buf, 2, buf.length - 1, lexed, { name: text, generic: true }),
      )
    }
    expect(texts.map(find)).toEqual(texts)
    expect(find(`select ${'a'.repeat(199)}b, 1`)).toBeUndefined()
  })

  test('plan cache: other search path, version, extra or parameter types: other scope', () => {
    const bench = new Bench()
    const { cache } = bench
    bench.keep('select $1', 'p')
    expect(bench.find('select $1', cache.scope(1, ['public']))).toBe('p')
    for (const scope of [
      cache.scope(1, ['public', 'x']),
      cache.scope(1, ['public'], 'temp'),
      cache.scope(1, []),
      cache.scopeWithTypes(bench.scope, [20]),
    ]) {
      expect(bench.find('select $1', scope)).toBeUndefined()
    }
    const typed = cache.scopeWithTypes(bench.scope, [20, 25])
    bench.keep('select $1', 'typed', true, typed)
    expect(bench.find('select $1', cache.scopeWithTypes(bench.scope, [20, 25]))).toBe('typed')
    expect(bench.find('select $1', cache.scopeWithTypes(bench.scope, [25, 20]))).toBeUndefined()
    expect(cache.scopeWithTypes(bench.scope, [])).toBe(bench.scope)
  })

  test('plan cache: a new catalog version: old entries are gone, the old scope keeps nothing', () => {
    const bench = new Bench()
    const { cache } = bench
    bench.keep('select 1', 'old')
    const old = bench.scope
    const typed = cache.scopeWithTypes(old, [20])
    const scope = cache.scope(2, ['public'])
    expect([old.version, typed.version, scope.version, cache.stats.size]).toEqual([-1, -1, 2, 0])
    bench.keep('select 1', 'late', true, old)
    bench.keep('select 1', 'late', true, typed)
    bench.keep('select 1', 'late', true, cache.scope(1, ['public']))
    bench.keep('select 1', 'late', true, cache.scopeWithTypes(cache.scope(1, ['public']), [20]))
    expect(cache.stats.size).toBe(0)
    expect(bench.find('select 1', scope)).toBeUndefined()
  })

  test('plan cache: too many scopes: all let go, sessions ask again', () => {
    const bench = new Bench({ scopesMax: 3 })
    const { cache } = bench
    bench.keep('select 1', 'p')
    cache.scopeWithTypes(bench.scope, [20])
    cache.scope(1, ['x'])
    expect(bench.scope.version).toBe(1)
    cache.scopeWithTypes(bench.scope, [25])
    expect([bench.scope.version, cache.stats.size]).toEqual([-1, 0])
    bench.scope = cache.scope(1, ['public'])
    bench.keep('select 1', 'p')
    expect(bench.find('select 2')).toBe('p')
  })

  test('plan cache: more entries than allowed: unused ones go first', () => {
    const bench = new Bench({ entriesMax: 4 })
    for (const c of 'abcd') bench.keep(`select ${c}`, c)
    bench.keep('select e', 'e')
    for (const c of 'bd') bench.find(`select ${c}`)
    bench.keep('select f', 'f')
    bench.keep('select g', 'g')
    expect([...'abcdefg'].filter((c) => bench.find(`select ${c}`) !== undefined).sort()).toContain('g')
    expect(bench.find('select b')).toBe('b')
    expect(bench.cache.stats).toMatchObject({ size: 4, evictions: 3 })
  })

  test('plan cache: more text than allowed: bounded, giant statements not kept', () => {
    const bench = new Bench({ textBytesMax: 1000, statementBytesMax: 300 })
    for (let i = 0; i < 50; i++) bench.keep(`select ${'x'.repeat(100)}${i}y`, 'p')
    expect(bench.cache.stats.textBytes).toBeLessThanOrEqual(1000)
    expect(bench.cache.stats.size).toBeGreaterThan(7)
    const before = bench.cache.stats.size
    bench.keep(`select ${'y'.repeat(300)}`, 'p')
    expect(bench.cache.stats.size).toBe(before)
  })

  test('plan cache: a text that cannot be lexed: neither kept nor found', () => {
    const bench = new Bench()
    bench.keep("select 'a", 'p')
    expect(bench.find("select 'a")).toBeUndefined()
    expect(bench.cache.stats.size).toBe(0)
  })

  test('plan cache: many random operations: agrees with a plain map, sizes stay right', () => {
    const bench = new Bench({ entriesMax: 30, variantsMax: 3 })
    const last = new Map<string, string>()
    let state = 12345
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return (state >>> 8) % below
    }
    for (let i = 0; i < 20_000; i++) {
      const generic = random(2) === 0
      const table = `${generic ? 'g' : 's'}${random(12)}`
      const literal = random(6)
      const text = `select * from ${table} where x = ${literal}`
      const key = generic ? table : text
      const found = bench.find(text)
      if (found !== undefined) expect(found).toBe(last.get(key))
      else {
        last.set(key, `${key}@${i}`)
        bench.keep(text, `${key}@${i}`, generic)
        expect(bench.find(text)).toBe(`${key}@${i}`)
      }
    }
    const stats = bench.cache.stats
    expect(stats.size).toBe(30)
    expect(stats.hits).toBeGreaterThan(5000)
    bench.cache.clear()
    expect(bench.cache.stats).toMatchObject({ size: 0, textBytes: 0 })
  })
})
