/**
 * What a session has drawn from sequences (docs/decisions/0016-sequences-of-a-session.md). On every shard. Each is told by
 * Postgres itself where the session draws; else by what was read there before the backend went to somebody else
 * (`weft.sequences`, set by the agent); else by what the coordinator drew for the session (`drawn`). Values are texts, by
 * the sequence's oid.
 */

/** Whatever the backend has: agents ask before they give it to somebody else. Nobody waits for a locked sequence. */
const state = `
CREATE OR REPLACE FUNCTION weft.sequence_state() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '1ms' AS $weft$
DECLARE
  seq oid;
  found jsonb := '{}';
  newest text;
  lost bool := false;
BEGIN
  BEGIN
    newest := lastval();
  EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL;
  WHEN OTHERS THEN lost := true;
  END;
  FOR seq IN SELECT seqrelid FROM pg_sequence LOOP
    BEGIN
      found := found || jsonb_build_object(seq::text, currval(seq)::text);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL;
    WHEN OTHERS THEN lost := true;
    END;
  END LOOP;
  RETURN jsonb_build_object('values', found, 'last', newest, 'lost', lost);
END $weft$;`

const forgotten = `
CREATE OR REPLACE FUNCTION weft.sequences_lost(what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $weft$
BEGIN
  RAISE EXCEPTION 'Weft: % is not known any more: the connection on which the session drew from a sequence was lost', what
    USING ERRCODE = '55000', HINT = 'Draw again, or use RETURNING.';
END $weft$;`

const reads = `
CREATE OR REPLACE FUNCTION weft.currval(seq regclass, drawn jsonb) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog AS $weft$
DECLARE
  kept jsonb := nullif(current_setting('weft.sequences', true), '');
  known text;
BEGIN
  RETURN currval(seq);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  known := coalesce(kept -> 'values' ->> seq::oid::text, drawn -> 'values' ->> seq::oid::text);
  IF known IS NOT NULL THEN
    RETURN known;
  ELSIF (kept -> 'lost')::bool THEN
    PERFORM weft.sequences_lost(format('currval of sequence "%s"', (SELECT relname FROM pg_class WHERE oid = seq)));
  END IF;
  RAISE;
END $weft$;
CREATE OR REPLACE FUNCTION weft.lastval(drawn jsonb) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog AS $weft$
DECLARE
  kept jsonb := nullif(current_setting('weft.sequences', true), '');
  known text;
BEGIN
  RETURN lastval();
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  IF (kept -> 'lost')::bool THEN
    PERFORM weft.sequences_lost('lastval');
  END IF;
  known := coalesce(kept ->> 'last', drawn ->> 'last');
  IF known IS NOT NULL THEN
    RETURN known;
  END IF;
  RAISE;
END $weft$;`

/**
 * As Postgres draws for an identity column: who may insert needs no privilege on the sequence. The columns that are inserted
 * are looked at by the INSERT itself. Who has the privilege draws without the help of Weft's administrator, who may have
 * none.
 */
const identities = `
CREATE OR REPLACE FUNCTION weft.identity_nextval(seq regclass) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $weft$
BEGIN
  IF has_sequence_privilege(seq, 'USAGE, UPDATE') THEN
    RETURN nextval(seq);
  END IF;
  RETURN weft.inserters_nextval(seq);
END $weft$;
CREATE OR REPLACE FUNCTION weft.inserters_nextval(seq regclass) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $weft$
DECLARE
  who name := coalesce(nullif(current_setting('role'), 'none'), session_user);
  owner oid := (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = seq AND deptype = 'i'
    AND refclassid = 'pg_class'::regclass AND refobjsubid > 0);
BEGIN
  IF has_any_column_privilege(who, owner, 'INSERT') THEN
    RETURN nextval(seq);
  END IF;
  RAISE EXCEPTION 'permission denied for table %', (SELECT relname FROM pg_class WHERE oid = owner)
    USING ERRCODE = '42501';
END $weft$;`

/**
 * Values for others, as many as there are: the rest hears from Postgres itself why there are no more, as does who may not
 * draw, or would have to wait. None is given before it is certain that no crash of the server gives it again: the session
 * that has it may commit elsewhere, while who drew before, and wrote that ahead, has not yet. A commit waits for the log if
 * its transaction has written something there.
 */
const draws = `
CREATE OR REPLACE FUNCTION weft.draw(sequences regclass[], are_identities bool[], wanted int) RETURNS SETOF bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '100ms' AS $weft$
DECLARE
  drawn bigint[];
BEGIN
  BEGIN
    FOR i IN 1..wanted LOOP
      drawn := '{}';
      FOR n IN 1..cardinality(sequences) LOOP
        drawn := drawn ||
          CASE WHEN are_identities[n] THEN weft.identity_nextval(sequences[n]) ELSE nextval(sequences[n]) END;
      END LOOP;
      RETURN NEXT drawn;
    END LOOP;
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  IF pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn() THEN
    PERFORM pg_logical_emit_message(true, 'weft', '');
  END IF;
END $weft$;`

export const sequenceFunctions = `${state + forgotten + reads + identities + draws}
GRANT EXECUTE ON FUNCTION weft.sequence_state(), weft.sequences_lost(text), weft.currval(regclass, jsonb),
  weft.lastval(jsonb), weft.identity_nextval(regclass), weft.inserters_nextval(regclass),
  weft.draw(regclass[], bool[], int) TO PUBLIC;`
