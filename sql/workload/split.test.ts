import { loadModule } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { splitFile } from './split.ts'

beforeAll(() => loadModule())

/** Lines that end in semicolons, of which few end a statement. */
const block = `SELECT 1 -- a;
 + 2;
SELECT 'x;
é';
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;
 SELECT 2;
END;
/* b;
*/ SELECT 3;
`
const LINES = [1, 3, 5, 9]

test('split: a large file is read in parts, and none of them ends within a statement', () => {
  const count = 3000
  const all = [...splitFile(block.repeat(count))]
  const lines = Array.from({ length: count }, (_, i) => LINES.map((line) => i * 9 + line)).flat()
  expect(all.map(({ line }) => line)).toEqual(lines)
  const texts = ['SELECT 1 -- a;\n + 2', "SELECT 'x;\né'", /^CREATE FUNCTION[\s\S]*END$/, 'SELECT 3']
  for (const [i, { text, parsed }] of all.entries()) {
    expect(text).toMatch(texts[i % 4]!)
    expect(parsed).not.toBeInstanceOf(PgError)
  }
})

test('split: one is given before the rest is read', () => {
  const [first] = splitFile(`${block.repeat(3000)} SELEC 1;`)
  expect(first).toMatchObject({ line: 1, text: 'SELECT 1 -- a;\n + 2' })
})

test('split: a mistake at the end of a large file: the rest of it is read piece by piece', () => {
  const selects = "SELECT 'é;\n';\n".repeat(20_000)
  const all = [...splitFile(`${selects}SELEC 1;\n\nSELECT 2;`)]
  expect(all).toHaveLength(20_002)
  const wrong = all.filter(({ parsed }) => parsed instanceof PgError)
  expect(wrong).toMatchObject([{ line: 40_001, text: 'SELEC 1' }])
  expect(all.slice(-3).map(({ line }) => line)).toEqual([39_999, 40_001, 40_003])
  expect(all[19_000]).toMatchObject({ line: 38_001, text: "SELECT 'é;\n'" })
})

test('split: lines of data that COPY FROM stdin has behind it are no statements; a mark of the byte order is none', () => {
  const file = `\uFEFFSELECT 1;
COPY public.t (a, "from stdin;") FROM stdin;
1\tit's; SELECT 2
\\N\t;
\\.

copy t from STDIN with (format csv, delimiter ';');
COPY t FROM stdin;
\\.
SELECT 3;
COPY t FROM stdin;
SELECT 4;
`
  const all = [...splitFile(file)]
  expect(all.map(({ line, text }) => `${line} ${text}`)).toEqual([
    '1 SELECT 1',
    '2 COPY public.t (a, "from stdin;") FROM stdin',
    "7 copy t from STDIN with (format csv, delimiter ';')",
    '10 SELECT 3',
    '11 COPY t FROM stdin',
    '12 SELECT 4',
  ])
})
