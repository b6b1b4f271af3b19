/**
 * Triggers of reference tables fire on home's copy, where the client's statement runs. What became of that copy's rows is
 * noted by a trigger of Weft's own, and done to the other copies when the statement has run
 * (docs/decisions/0068-triggers-of-copies.md). A note says which row was changed; what it is now is read at the end.
 */

/**
 * The trigger on home's copy. Of several that are due for a row Postgres fires those first whose names come first: this one
 * comes before the actions of foreign keys (`RI_…`), so that a parent's change is told before those of its children.
 */
export const NOTING_TRIGGER = '$weft_changes'

/** Home, after what may call for that trigger, or have turned it off. */
export const NOTE_CHANGES = 'SELECT weft.note_changes()'

/** Values come and go as their types write them, and those of no setting of the session. */
const EXACTLY = `SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET datestyle = 'ISO, YMD'
  SET intervalstyle = 'postgres' SET bytea_output = 'hex' SET lc_monetary = 'C' SET xmloption = 'content' SET array_nulls = on`

/** `DELETE` and `UPDATE` of what others refer to, where that changes their rows. */
const ACTS = `(k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))`

// Unlogged, and empty but for transactions under way. Not numbered by a sequence: lastval() is the session's.
const table = `
CREATE UNLOGGED TABLE IF NOT EXISTS weft.changed_row (xid xid8 NOT NULL, relid oid NOT NULL, was text, becomes text);
CREATE INDEX IF NOT EXISTS changed_row_xid ON weft.changed_row (xid);`

const note = `
CREATE OR REPLACE FUNCTION weft.note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER ${EXACTLY} AS $weft$
BEGIN
  INSERT INTO weft.changed_row VALUES (pg_current_xact_id(), TG_RELID,
    CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END, CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END);
  RETURN NULL;
END $weft$;

-- After triggers, keys or foreign keys have come or gone: reference tables with triggers, and those whose foreign keys would
-- change rows of these, have the trigger that notes. It stays when the others go.
CREATE OR REPLACE FUNCTION weft.note_changes() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  rel regclass;
  noted bool;
BEGIN
  FOR rel, noted IN
    WITH RECURSIVE due AS (
      SELECT r.relid FROM weft.relation r
      WHERE r.kind = 'reference' AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = r.relid AND NOT t.tgisinternal)
      UNION SELECT k.confrelid FROM due d JOIN pg_constraint k ON k.conrelid = d.relid AND k.contype = 'f' AND ${ACTS}
      JOIN weft.relation r ON r.relid = k.confrelid AND r.kind = 'reference')
    SELECT d.relid, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = d.relid AND t.tgname = '${NOTING_TRIGGER}')
    FROM due d
  LOOP
    IF NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = rel AND k.contype = 'p') THEN
      RAISE EXCEPTION 'triggers on reference table "%" are not supported: it has no primary key', rel
        USING ERRCODE = '0A000', DETAIL = 'Refusal trigger, see docs/sql.md.',
          HINT = 'What they do to a row is done to the other copies by its key: ALTER TABLE … ADD PRIMARY KEY.';
    ELSIF EXISTS (SELECT FROM pg_inherits h WHERE rel IN (h.inhrelid, h.inhparent)) THEN
      RAISE EXCEPTION 'triggers on reference table "%" are not supported: it is partitioned, or part of a tree', rel
        USING ERRCODE = '0A000', DETAIL = 'Refusal trigger, see docs/sql.md.';
    END IF;
    IF NOT noted THEN
      EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION weft.note_change()',
        '${NOTING_TRIGGER}', rel);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', rel, '${NOTING_TRIGGER}');
  END LOOP;
END $weft$;`

/** `t.a = other.a AND …` of a key's columns, by the operators of its index. */
const matching = (left: string, right: string): string => `(
  SELECT string_agg(format('${left}%1$I OPERATOR(%2$I.%3$s) ${right}%1$I', a.attname, n.nspname, o.oprname), ' AND ' ORDER BY i.at)
  FROM pg_index x CROSS JOIN LATERAL unnest(x.indkey::int2[], x.indclass::oid[]) WITH ORDINALITY AS i(attnum, class, at)
  JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = i.attnum
  JOIN pg_opclass cls ON cls.oid = i.class
  JOIN pg_amop m ON m.amopfamily = cls.opcfamily AND m.amopstrategy = 3 AND m.amoplefttype = cls.opcintype AND m.amoprighttype = cls.opcintype
  JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
  WHERE x.indrelid = rel AND x.indisprimary)`

const columns = `(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
  FROM pg_attribute a WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped)`

// A foreign key's action that did not come to pass on home, as a trigger kept the row, would on a copy, where none is.
const kept = `
CREATE OR REPLACE FUNCTION weft.kept_by_triggers(rel regclass, was text) RETURNS text
LANGUAGE plpgsql STABLE SET row_security = off ${EXACTLY} AS $weft$
DECLARE
  k record;
  stays bool;
BEGIN
  FOR k IN SELECT c.conname, format('SELECT EXISTS (SELECT FROM ONLY %1$s t, (SELECT $1::%2$s AS r) o WHERE %3$s)
      AND NOT EXISTS (SELECT FROM ONLY %2$s t, (SELECT $1::%2$s AS r) o WHERE %4$s)', c.conrelid::regclass, rel,
      string_agg(format('t.%1$I::text OPERATOR(pg_catalog.=) (o.r).%2$I::text', f.attname, p.attname), ' AND '),
      string_agg(format('t.%1$I::text OPERATOR(pg_catalog.=) (o.r).%1$I::text', p.attname), ' AND ')) AS asks
    FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS u(child, parent)
    JOIN pg_attribute f ON f.attrelid = c.conrelid AND f.attnum = u.child
    JOIN pg_attribute p ON p.attrelid = c.confrelid AND p.attnum = u.parent
    JOIN pg_trigger t ON t.tgrelid = c.conrelid AND t.tgname = '${NOTING_TRIGGER}'
    WHERE c.confrelid = rel AND c.contype = 'f' AND ${ACTS.replaceAll('k.', 'c.')}
    GROUP BY c.oid, c.conname, c.conrelid
  LOOP
    EXECUTE k.asks INTO stays USING was;
    IF stays THEN RETURN k.conname; END IF;
  END LOOP;
  RETURN NULL;
END $weft$;`

/** Notes that are taken at once. */
const BATCH = 1000

// What was noted, in order: the table, the row that it was, the row that is there now, whether the old key is gone. A row is
// what its type prints. NULL: nothing is left. Only Weft asks, not code: it would take what the copies have to get.
const take = `
CREATE OR REPLACE FUNCTION weft.take_changes() RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET row_security = off ${EXACTLY} AS $weft$
DECLARE
  c record;
  rel regclass;
  asks text;
  change json;
  taken json[] := '{}';
  places tid[] := '{}';
  stack text;
  kept text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  IF strpos(stack, E'\\n') > 0 THEN
    RAISE EXCEPTION 'weft.take_changes() is Weft''s own' USING ERRCODE = '42501';
  END IF;
  FOR c IN SELECT r.ctid AS place, r.relid, r.was, r.becomes FROM weft.changed_row r
    WHERE r.xid = pg_current_xact_id_if_assigned() ORDER BY r.cmin::text::bigint LIMIT ${BATCH}
  LOOP
    IF rel IS NULL OR rel <> c.relid THEN
      rel := c.relid;
      asks := format('SELECT json_build_object(''rel'', %3$L, ''columns'', %4$L, ''was'', $1, ''is'', (
          SELECT t::text FROM ONLY %1$s t, (SELECT $2::%1$s AS r) n WHERE %2$s),
        ''gone'', $1 IS NOT NULL AND NOT EXISTS (SELECT FROM ONLY %1$s t, (SELECT $1::%1$s AS r) n WHERE %2$s),
        ''moves'', $1 IS NOT NULL AND $2 IS NOT NULL AND NOT EXISTS (
          SELECT FROM (SELECT ($1::%1$s).*) t, (SELECT $2::%1$s AS r) n WHERE %2$s))',
        rel, ${matching('t.', '(n.r).')}, rel, ${columns});
    END IF;
    EXECUTE asks INTO change USING c.was, c.becomes;
    IF c.was IS NOT NULL THEN kept := weft.kept_by_triggers(rel, c.was); END IF;
    IF kept IS NOT NULL OR ((change->>'moves')::bool AND change->>'is' IS NULL) THEN
      RAISE EXCEPTION '%', CASE WHEN kept IS NULL
          THEN format('giving a row of reference table "%s" several keys in one statement, by triggers, is not supported', rel)
          ELSE format('triggers that keep rows from what foreign key "%s" does to them are not supported', kept) END
        USING ERRCODE = '0A000', DETAIL = 'Refusal trigger, see docs/sql.md.';
    END IF;
    taken := taken || change;
    places := places || c.place;
  END LOOP;
  DELETE FROM weft.changed_row r WHERE r.ctid = ANY (places);
  RETURN CASE WHEN cardinality(taken) > 0 THEN array_to_json(taken) END;
END $weft$;`

/** On every shard but home. With the rights of who wrote on home: nobody can do more by calling it. */
export const copyFunctions = `
CREATE OR REPLACE FUNCTION weft.repeat_changes(changes json) RETURNS void
LANGUAGE plpgsql ${EXACTLY} AS $weft$
DECLARE
  c record;
  name text;
  rel regclass;
  by_row text;
  fills text;
  inserts text;
  updates text;
  deletes text;
  looks text;
  done bool;
  is_there bool;
  found_row text;
BEGIN
  FOR c IN SELECT x->>'rel' AS rel, x->>'columns' AS columns, x->>'was' AS was, x->>'is' AS is,
      (x->>'gone')::bool AS gone, (x->>'moves')::bool AS moves FROM json_array_elements(changes) x
  LOOP
    IF name IS DISTINCT FROM c.rel THEN
      name := c.rel;
      rel := name::regclass;
      IF c.columns IS DISTINCT FROM ${columns} THEN
        RAISE EXCEPTION 'the copies of a reference table differ' USING ERRCODE = 'XX001', DETAIL = format('columns of %s', rel);
      END IF;
      by_row := ${matching('t.', '(n.r).')};
      SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), string_agg('(n.r).' || quote_ident(a.attname), ', ' ORDER BY a.attnum),
          string_agg(format('%1$I = (n.r).%1$I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attidentity <> 'a')
        INTO fills, inserts, updates
        FROM pg_attribute a WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
      inserts := format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM (SELECT $1::%1$s AS r) n', rel, fills, inserts);
      updates := format('UPDATE ONLY %1$s t SET %2$s FROM (SELECT $1::%1$s AS r) n, (SELECT $2::%1$s AS r) o WHERE %3$s',
        rel, updates, ${matching('t.', '(o.r).')});
      deletes := format('DELETE FROM ONLY %1$s t USING (SELECT $1::%1$s AS r) n WHERE %2$s', rel, by_row);
      looks := format('SELECT t::text FROM ONLY %1$s t, (SELECT $1::%1$s AS r) n WHERE %2$s', rel, by_row);
    END IF;
    done := false;
    is_there := false;
    IF c.is IS NOT NULL AND (c.was IS NULL OR c.moves) AND has_table_privilege(rel, 'SELECT') THEN
      EXECUTE looks INTO found_row USING c.is;
      is_there := found_row IS NOT NULL;
    END IF;
    IF c.is IS NOT NULL AND c.moves AND NOT is_there THEN
      EXECUTE updates USING c.is, c.was;
      GET DIAGNOSTICS done = ROW_COUNT;
    END IF;
    IF c.gone AND NOT done THEN
      EXECUTE deletes USING c.was;
    END IF;
    IF c.is IS NULL OR done THEN
      CONTINUE;
    ELSIF (c.was IS NULL OR c.moves) AND NOT is_there THEN
      EXECUTE inserts USING c.is;
    ELSE
      EXECUTE updates USING c.is, c.is;
      GET DIAGNOSTICS done = ROW_COUNT;
      IF NOT done THEN
        RAISE EXCEPTION 'the copies of a reference table differ' USING ERRCODE = 'XX001', DETAIL = format('a row of %s', rel);
      END IF;
    END IF;
    IF has_table_privilege(rel, 'SELECT') THEN
      EXECUTE looks INTO found_row USING c.is;
      IF found_row <> c.is THEN
        RAISE EXCEPTION 'the copies of a reference table differ' USING ERRCODE = 'XX001', DETAIL = format('a row of %s', rel);
      END IF;
    END IF;
  END LOOP;
END $weft$;
GRANT EXECUTE ON FUNCTION weft.repeat_changes(json) TO PUBLIC;`

export const notedChanges = [
  table,
  note,
  kept,
  take,
  'GRANT EXECUTE ON FUNCTION weft.note_changes(), weft.take_changes() TO PUBLIC;',
  'REVOKE EXECUTE ON FUNCTION weft.note_change(), weft.kept_by_triggers(regclass, text) FROM PUBLIC;',
].join('\n')
