import { expect, test } from 'vitest'
import { partsOfBody } from './plpgsql-parts.ts'

const parts = (body: string) =>
  partsOfBody(body).map(({ sql, sets }) => [sql.trim().replace(/\s+/g, ' '), ...sets])

test('statements and expressions of a body', () => {
  const body = `DECLARE n int := 5; BEGIN
    -- SELECT nothing
    IF EXISTS (SELECT 1 FROM a WHERE k = NEW.k) THEN INSERT INTO b VALUES (NEW.k); ELSE PERFORM f(1); END IF;
    SELECT count(*), 1 INTO STRICT n, r."A b" FROM c WHERE x = CASE WHEN (y) THEN 1 END;
    NEW.total := (SELECT sum(v) FROM d); x = 4;
    FOR r IN SELECT * FROM e LOOP UPDATE g SET v = 1; END LOOP;
    INSERT INTO h VALUES (1) RETURNING id INTO n;
    RETURN QUERY SELECT 1; RETURN NEW; END`
  const all = parts(body)
  expect(all).toContainEqual(['SELECT EXISTS (SELECT 1 FROM a WHERE k = NEW.k)'])
  expect(all).toContainEqual(['INSERT INTO b VALUES (NEW.k)'])
  expect(all).toContainEqual(['SELECT f(1)'])
  expect(all).toContainEqual(['SELECT (SELECT sum(v) FROM d)', 'new.total'])
  expect(all).toContainEqual(['SELECT 4', 'x'])
  expect(all).toContainEqual(['SELECT * FROM e'])
  expect(all).toContainEqual(['UPDATE g SET v = 1'])
  expect(all).toContainEqual(['INSERT INTO h VALUES (1) RETURNING id', 'n'])
  expect(all).toContainEqual(['SELECT 1'])
  expect(all).toContainEqual(['SELECT NEW'])
})

test('what a SELECT sets is no part of it', () => {
  expect(parts('SELECT a, b INTO STRICT n, r."A b" FROM c WHERE d')).toEqual([
    ['SELECT a, b FROM c WHERE d', 'n', 'r.A b'],
  ])
})
