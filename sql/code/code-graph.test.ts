import { describe, expect, test } from 'vitest'
import { type CodePiece, codeGraph } from './code-graph.ts'
import { ANY_EFFECTS, EFFECT, effectsOfText } from './effects.ts'

const { settings, objects, advances, readsSequences, seeds, backends } = EFFECT

describe('effects of a text', () => {
  test.each([
    ['RETURN NEW;', 0],
    ['SET search_path = a;', settings],
    ["PERFORM set_config('a.b', 'c', true);", settings],
    ['UPDATE t SET a = 1; UPDATE ONLY s.t AS x SET a = 1; UPDATE t * SET a = 1;', 0],
    ['INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2', advances],
    ['UPDATE t SET a = 1; SET ROLE bob', settings],
    ['IF a = "update" THEN SET ROLE bob; END IF', settings],
    ['RESET ALL', settings],
    ['CREATE TEMP TABLE x ()', objects],
    ['CREATE TABLE pg_temp.x ()', objects],
    ['LISTEN a', objects],
    ['PERFORM pg_try_advisory_lock_shared(1)', objects],
    ['PERFORM pg_advisory_unlock_all()', objects],
    ['PERFORM pg_advisory_xact_lock(1)', 0],
    ["RETURN nextval('s')", advances],
    ['SELECT lastval()', readsSequences],
    ['PERFORM setseed(0.5)', seeds],
    ["EXECUTE 'x'", ANY_EFFECTS],
    ["SELECT U&'\\0061'", ANY_EFFECTS | EFFECT.compiles],
    ["EXECUTE 'SELECT pg_cancel_backend($1)'", ANY_EFFECTS | backends],
    ['NEW.by := pg_backend_pid()', backends],
  ])('effects: %s', (text, effects) => {
    expect(effectsOfText('plpgsql', text)).toBe(effects)
  })

  test('effects: other languages are not known; queries have no statements', () => {
    expect(effectsOfText('plpython3u', 'return 1')).toBe(ANY_EFFECTS)
    expect(effectsOfText('query', 'SELECT temp, load, hold, "set" FROM weather')).toBe(0)
    expect(effectsOfText('query', "nextval('s'::regclass)")).toBe(advances)
  })
})

const piece = (
  kind: CodePiece['kind'],
  name: string,
  text: string | undefined,
  language = kind === 'function' ? 'plpgsql' : 'query',
): CodePiece => ({ kind, name, language, text })

const pieces = [
  piece('function', 'plain', 'RETURN 1'),
  piece('function', 'tenant', "SELECT set_config('app.t', '1', true)", 'sql'),
  piece('function', 'caller', 'PERFORM middle()'),
  piece('function', 'middle', 'PERFORM TENANT()'),
  piece('function', 'Odd "one"', 'LISTEN x'),
  piece('function', 'native', undefined),
  piece('function', 'note', 'INSERT INTO logged VALUES (1)'),
  piece('function', 'look', 'SELECT FROM logged', 'sql'),
  piece('write', 'logged', 'on_log'),
  piece('function', 'on_log', 'CREATE TEMP TABLE x ()'),
  piece('read', 'seen', 'caller() = a'),
  piece('read', 'seen_view', 'SELECT a FROM seen'),
  piece('type', 'email', "CHECK (middle() <> '')"),
]

describe('the graph of code', () => {
  const code = codeGraph(pieces)
  const names = EFFECT.names

  test.each([
    ['plain', 0],
    ['tenant', settings | names],
    ['caller', settings | names],
    ['Odd "one"', objects],
    ['native', ANY_EFFECTS],
    ['note', objects | advances],
    ['look', 0],
    ['unheard_of', 0],
  ])('function %s', (name, effects) => {
    expect(code.ofFunction(name)).toBe(effects)
  })

  test('relations: what runs when they are read, and when they are written', () => {
    expect([code.ofRelation('logged', 'read'), code.ofRelation('logged', 'write')]).toEqual([0, objects])
    expect(code.ofRelation('seen_view', 'read')).toBe(settings | names)
  })

  test.each([
    ['SELECT a FROM logged', 0],
    ['INSERT INTO logged SELECT 1', objects],
    ['SELECT plain()', 0],
    ['SELECT "Odd ""one"""()', objects],
    ["SELECT 'a'::email", settings | names],
    ["SELECT set_config('a.b', 'c', true)", 0],
    ["SELECT 'seen', $$seen$$, E'it\\n seen' -- seen\n FROM t /* seen */", 0],
    ["SELECT 'it''s', a FROM \"seen\"", settings | names],
    ["SELECT 'it\\', seen, '", settings | names],
    ["SELECT native('seen')", ANY_EFFECTS | names],
    ["SELECT query_to_xml('SELECT a FROM seen', true, true, '')", settings | names],
    ["DO 'BEGIN PERFORM tenant(); END'", settings | names],
    ["INSERT INTO t VALUES ('caller()') ON CONFLICT DO NOTHING", 0],
  ])('statement %s', (text, effects) => {
    expect(code.ofStatement(text)).toBe(effects)
  })

  test('what speaks of backends: where it is called, not where a column has the name', () => {
    const told = codeGraph([
      piece('function', 'status', 'RETURN pg_backend_pid()'),
      piece('function', 'reads', 'SELECT status FROM t', 'sql'),
      piece('function', 'calls', 'RETURN STATUS /* mine */ ( )'),
      piece('write', 't', 'status BEFORE INSERT'),
      piece('read', 'who', 'SELECT pid FROM pg_stat_activity'),
    ])
    const named = (effects: number) => (effects & backends) !== 0
    expect(['status', 'reads', 'calls', 'none'].map((name) => named(told.ofFunction(name)))).toEqual([
      ...[true, false, true, false],
    ])
    expect([told.ofRelation('t', 'read'), told.ofRelation('t', 'write')].map(named)).toEqual([false, true])
    expect(named(told.ofRelation('who', 'read'))).toBe(true)
    expect([told.namesBackends, code.namesBackends]).toEqual([true, false])
  })

  test('operators and casts show by no name: then any statement may do what they do', () => {
    const everywhere = codeGraph([...pieces, piece('any', '', 'tenant')])
    expect(everywhere.ofStatement('SELECT 1')).toBe(settings | names)
  })

  test('an operator: where its name is said, by whom that is said, and no other', () => {
    const told = codeGraph([
      ...pieces,
      piece('operator', '###', 'tenant'),
      piece('write', 'checked', '(a OPERATOR(s.###) 1)'),
    ])
    const effects = ['SELECT 1 ## 2, 3 # 4', 'SELECT 1 ### 2', 'SELECT FROM checked', 'DELETE FROM checked']
    expect(effects.map((text) => told.ofStatement(text))).toEqual([0, settings | names, 0, settings | names])
  })

  test.each([
    ['SELECT owner, x.owner, tenant FROM t GROUP BY owner ORDER BY tenant', 0],
    ['INSERT INTO t (owner) SELECT owner FROM u', 0],
    ['SELECT owner ( ) FROM t', ANY_EFFECTS],
    ['SELECT s."owner"/* mine */() FROM t', ANY_EFFECTS],
    ['SELECT Tenant\n() FROM t', settings | names],
    ['SELECT x.single FROM x', settings | names],
    ['SELECT single, owner FROM x', settings | names],
    ["SELECT owner, query_to_xml('SELECT 1', true, true, '')", ANY_EFFECTS],
    ['CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION owner()', ANY_EFFECTS],
    ['CREATE CAST (a AS int) WITH FUNCTION owner', ANY_EFFECTS],
  ])('a function by its name and a parenthesis, which a column of the name has not: %s', (text, effects) => {
    const told = codeGraph([
      ...pieces,
      piece('function', 'owner', 'EXECUTE $1'),
      piece('function', 'single', 'PERFORM tenant()'),
      piece('attribute', 'single', 'single', 'query'),
    ])
    expect(told.ofStatement(text)).toBe(effects)
  })

  test('a text: its own, and what it names', () => {
    expect(code.ofText('plpgsql', 'LISTEN a; PERFORM caller()')).toBe(objects | settings | names)
  })
})
