import { loadModule, type ScanToken, scanSync } from 'libpg-query'
import { beforeAll, describe, expect, test } from 'vitest'
import { flattened } from '../parse/flatten.ts'
import { countParams, quickVerb, statementCount } from './inspect.ts'
import { Lexed, LITERAL } from './lexed.ts'
import { literalContent } from './literal.ts'
import { lexStatement } from './scan.ts'
import { offsetMap } from './split.ts'
import { PIECES, STATEMENTS } from './testdata.ts'

beforeAll(loadModule)

const lexed = new Lexed()

function lex(text: string): Buffer {
  const buf = Buffer.from(text)
  lexStatement(buf, 0, buf.length, lexed)
  return buf
}

type Span = readonly [start: number, end: number]

function ourLiterals(): Span[] {
  return Array.from({ length: lexed.literalCount }, (_, i) => [lexed.starts[i]!, lexed.ends[i]!])
}

const LITERAL_TOKENS = new Set([260, 261, 262, 263, 264, 266])
const PARAM_TOKEN = 267

const TOKENS_OF_KIND: Readonly<Record<number, readonly number[]>> = {
  // Postgres calls an integer that int4 cannot hold a float constant.
  [LITERAL.integer]: [266, 260],
  [LITERAL.float]: [260],
  [LITERAL.string]: [261],
  [LITERAL.escape]: [261],
  [LITERAL.dollar]: [261],
  [LITERAL.national]: [261],
  [LITERAL.unicode]: [262],
  [LITERAL.bit]: [263],
  [LITERAL.hex]: [264],
}

/** What Postgres' own scanner says, or undefined when it refuses the text. */
function scanned(text: string): ScanToken[] | undefined {
  try {
    return scanSync(flattened(text)).tokens
  } catch {
    return undefined
  }
}

function expectAgreement(text: string): void {
  const tokens = scanned(text)
  lex(text)
  if (tokens === undefined || !lexed.ok) return
  const theirs = tokens.filter((t) => LITERAL_TOKENS.has(t.tokenType)).map((t) => [t.start, t.end])
  expect(ourLiterals(), JSON.stringify(text)).toEqual(theirs)
  for (let i = 0; i < lexed.literalCount; i++) {
    const token = tokens.find((t) => t.start === lexed.starts[i])!
    expect(TOKENS_OF_KIND[lexed.kinds[i]!], JSON.stringify(text)).toContain(token.tokenType)
  }
  const params = tokens.filter((t) => t.tokenType === PARAM_TOKEN).map((t) => Number(t.text.slice(1)))
  expect([...lexed.params.subarray(0, lexed.paramUses)], JSON.stringify(text)).toEqual(params)
}

function randomSource(seed: number): (below: number) => number {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

describe('lex: against the scanner of Postgres', () => {
  test.each(STATEMENTS)('lex: %j: literals and parameters where Postgres sees them', (text) => {
    expectAgreement(text)
    expect(scanned(text)).toBeDefined()
    expect(lexed.ok).toBe(true)
  })

  test('lex: random texts of token pieces: agree or say not ok', () => {
    const random = randomSource(20260730)
    let fine = 0
    let given = 0
    for (let i = 0; i < 20_000; i++) {
      let text = ''
      for (let n = 1 + random(12); n > 0; n--) text += PIECES[random(PIECES.length)]
      expectAgreement(text)
      if (scanned(text) !== undefined) fine++
      if (scanned(text) !== undefined && lexed.ok) given++
    }
    expect(fine).toBeGreaterThan(1000)
    expect(given / fine).toBeGreaterThan(0.7)
  })

  test('lex: statements with pieces put in, cut out or doubled: agree or say not ok', () => {
    const random = randomSource(4242)
    for (let i = 0; i < 10_000; i++) {
      const base = STATEMENTS[random(STATEMENTS.length)]!
      const from = random(base.length + 1)
      const to = from + random(4)
      const piece = random(3) === 0 ? '' : PIECES[random(PIECES.length)]!
      expectAgreement(Buffer.from(base.slice(0, from) + piece + base.slice(to)).toString())
    }
  })

  test('lex: a text that Postgres refuses: refused here too when literals are cut off', () => {
    for (const text of [
      "'a",
      "e'a\\'",
      '$$a',
      '$a$b$$',
      '/* a',
      '/* /* */',
      '"a',
      '""',
      "b'01",
      '1abc',
      '1_',
      '0x',
      '0b2',
    ]) {
      lex(`select ${text}`)
      expect(lexed.ok, text).toBe(false)
      expect(scanned(`select ${text}`), text).toBeUndefined()
    }
  })

  test('lex: a text that libpg-query and Postgres read differently, or a strange one: not ok', () => {
    for (const text of ['$1abc', '$99999', '\\x', '$', '{', '\0']) {
      lex(`select ${text}`)
      expect(lexed.ok, text).toBe(false)
    }
  })

  test('lex: comments between the parts of a string', () => {
    for (const text of ["'a' -- x\n 'b'", "'a'\n-- x\n'b'", "e'a' --\n'b'", "'a' -- 'x\n--\n\n'b'"]) {
      lex(`select ${text}, 1`)
      expect([lexed.ok, lexed.literalCount], text).toEqual([true, 2])
    }
  })

  test('lex: bytes outside the range: not looked at', () => {
    const buf = Buffer.from("xx select 'a' 'b'")
    lexStatement(buf, 3, 12, lexed)
    expect(lexed.ok).toBe(false)
    lexStatement(buf, 3, 13, lexed)
    expect([lexed.ok, ourLiterals()]).toEqual([true, [[10, 13]]])
  })
})

function print(text: string): string {
  lex(text)
  expect(lexed.ok, text).toBe(true)
  return `${lexed.hashA}/${lexed.hashB}`
}

describe('lex: fingerprint', () => {
  test('lex: other literal values of the same kind: same fingerprint', () => {
    expect(print("select * from t where a = 1 and b = 'x'")).toBe(
      print("select * from t where a = 4711 and b = 'it''s'"),
    )
    expect(print("select E'a' || $$b$$")).toBe(print("select e'' || $x$;$x$"))
  })

  test('lex: other kind, other word, other white space: other fingerprint', () => {
    const texts = [
      'select 1',
      "select '1'",
      'select 1.0',
      'select $1',
      'select  1',
      'SELECT 1',
      'select 1 ',
      'select 1,1',
      'select $2',
    ]
    expect(new Set(texts.map(print)).size).toBe(texts.length)
  })

  test('lex: a statement inside a bigger buffer: fingerprint of the statement alone', () => {
    const alone = print('select 1')
    const buf = Buffer.from('zz select 1;')
    lexStatement(buf, 3, 11, lexed)
    expect(`${lexed.hashA}/${lexed.hashB}`).toBe(alone)
  })

  test('lex: thousands of literals: all found, and the next small statement is unharmed', () => {
    lex(`select ${Array.from({ length: 100_000 }, (_, i) => `$${(i % 9) + 1},${i}`).join(',')}`)
    expect([lexed.literalCount, lexed.paramUses]).toEqual([100_000, 100_000])
    lex('select 7')
    expect(ourLiterals()).toEqual([[7, 8]])
  })
})

describe('literal content', () => {
  const content = (text: string): (string | undefined)[] => {
    const buf = lex(text)
    return ourLiterals().map(([start, end], i) =>
      literalContent(buf, start, end, lexed.kinds[i]!)?.toString(),
    )
  }

  test('literalContent: every kind: what Postgres makes of it', () => {
    expect(content("select 'a', 'it''s', '', 'a'\n'b''c' \n 'd' -- 'x'")).toEqual(['a', "it's", '', "ab'cd"])
    expect(content("select $$a'b$$, $x$ $$ $x$, N'é'")).toEqual(["a'b", ' $$ ', 'é'])
    expect(content("select E'\\a\\b\\f\\n\\r\\t\\v\\\\\\'''' , e'\\x41\\x4a2\\101\\0612\\q'")).toEqual([
      "a\b\f\n\r\t\v\\''",
      'AJ2A12q',
    ])
    expect(
      content("select E'\\u00e9\\U0001F600\\uD83D\\uDE00' , E'\\xC3\\xA9\\303\\251', E'a'\n'\\x41'"),
    ).toEqual(['é😀😀', 'éé', 'aA'])
    expect(content('select 12, 1.5e3')).toEqual(['12', '1.5e3'])
  })

  test('literalContent: not certain, or an error in Postgres: undefined', () => {
    const texts = [
      "U&'a'",
      "b'01'",
      "x'1f'",
      "E'\\xff'",
      "E'\\0'",
      "E'\\u00'",
      "E'\\uD83D'",
      "E'\\uDE00'",
      "E'\\uD83Dx'",
    ]
    for (const text of texts) expect(content(`select ${text}`), text).toEqual([undefined])
  })

  test('lex kinds: each literal: its kind', () => {
    lex("1 .5 1e3 0xe1 'a' E'' $$$$ b'' x'' n'' u&''")
    const k = LITERAL
    const expected = [
      k.integer,
      k.float,
      k.float,
      k.integer,
      k.string,
      k.escape,
      k.dollar,
      k.bit,
      k.hex,
      k.national,
      k.unicode,
    ]
    expect([...lexed.kinds.subarray(0, lexed.literalCount)]).toEqual(expected)
  })
})

describe('inspect', () => {
  test('countParams: parameters several times: counted, the highest known', () => {
    lex("select $2, $1, $2 from t where x = '$3' and $5 = $5")
    expect(countParams(lexed)).toEqual({ highest: 5, uses: [0, 1, 2, 0, 0, 2] })
    lex('select 1')
    expect(countParams(lexed)).toEqual({ highest: 0, uses: [0] })
  })

  test.each([
    ['', 'none'],
    [' -- x\n;; /* y */', 'none'],
    ['select 1', 'one'],
    ["select ';' ; -- x", 'one'],
    ['select 1;;;', 'one'],
    ['select 1; select 2', 'several'],
    ['begin;select 1', 'several'],
    ['; select 1', 'maybe'],
    ['create function f() returns int begin atomic select 1; select 2; end', 'maybe'],
    ['create rule r as on insert to t do (select 1; select 2)', 'maybe'],
    ["select 'a", 'maybe'],
  ])('statementCount: %j: %s', (text, expected) => {
    const buf = lex(text)
    expect(statementCount(buf, lexed)).toBe(expected)
  })

  test.each([
    ['BEGIN', 'begin'],
    [' begin work ; ', 'begin'],
    ['Begin\nTransaction', 'begin'],
    ['COMMIT;', 'commit'],
    ['end transaction', 'commit'],
    ['rollback', 'rollback'],
    ['ABORT WORK;', 'rollback'],
    ['begin;;', 'none'],
    ['begin; select 1', 'none'],
    ['begin isolation level serializable', 'none'],
    ['commit and chain', 'none'],
    ['commit prepared', 'none'],
    ['rollback to a', 'none'],
    ['beginwork', 'none'],
    ['begin workx', 'none'],
    ['begins', 'none'],
    ['begin -- x', 'none'],
    ['start transaction', 'none'],
    ['select 1', 'none'],
    ['', 'none'],
  ])('quickVerb: %j: %s', (text, expected) => {
    const buf = Buffer.from(`(${text})`)
    expect(quickVerb(buf, 1, buf.length - 1)).toBe(expected)
  })
})

describe('offset map', () => {
  test('offsetMap: text with characters of 1 to 4 bytes: both ways', () => {
    const text = "sélect '😀', 'ü', '€' from t"
    const map = offsetMap(text)
    for (const token of scanSync(text).tokens) {
      expect(text.slice(map.toUtf16(token.start), map.toUtf16(token.end))).toBe(token.text)
      expect(map.toByte(map.toUtf16(token.start))).toBe(token.start)
    }
    expect(map.toUtf16(Buffer.byteLength(text))).toBe(text.length)
    expect(map.toByte(text.length)).toBe(Buffer.byteLength(text))
  })

  test('offsetMap: plain ASCII: identity', () => {
    const map = offsetMap('select 1')
    expect([map.toUtf16(5), map.toByte(5)]).toEqual([5, 5])
  })
})
