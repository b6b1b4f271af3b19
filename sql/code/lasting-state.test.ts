import { expect, test } from 'vitest'
import { wordsOf } from '../words.ts'
import { leavesForGood } from './lasting-state.ts'

test.each([
  ['plpgsql', "PERFORM dblink_connect('a', 'b')", true],
  ['query', "SELECT public.dblink_connect_u('b')", true],
  ['plpgsql', "SELECT * FROM dblink('host=b', 'SELECT 1')", false],
  ['plpgsql', "LOAD 'auto_explain'", true],
  ['plpgsql', "EXECUTE format('LOAD %L', library)", true],
  ['plpgsql', 'SELECT load FROM machines', false],
  ['sql', "SELECT pg_replication_origin_session_setup('o')", true],
  ['plperl', '$_SHARED{x} = 1', true],
  ['plperl', 'return $_[0] + 1', false],
  ['plpython3u', 'GD["x"] = 1', true],
  ['plpgsql', 'SELECT our FROM gd', false],
])('%s: %s', (language, text, expected) => {
  expect(leavesForGood(language, text, wordsOf(text))).toBe(expected)
})
