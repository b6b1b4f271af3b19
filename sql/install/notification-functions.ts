/**
 * `weft.notify`: what `pg_notify` is, for code that runs in transactions over several shards. Postgres prepares no
 * transaction that has notified; one that has kept what is to be told, in a table, it does. When the transaction has
 * committed its shard's agent notifies for it (shard-agent/participant/notifications.ts). On every shard.
 */

/** SQLSTATE of the message by which an agent hears that there will be something to tell. */
export const TOLD_CODE = '01WFN'
/** Has the notifications of one transaction after the other told, all that are there. Not in a transaction. */
export const TELL_SQL = 'CALL weft.tell_notifications()'
/** Of the advisory lock of who is telling: never two at once, or one would be told twice. */
const TELLING_CLASS = 0x7765666e
const CHANNEL_BYTES_MAX = 63
const PAYLOAD_BYTES_MAX = 7999

// Unlogged: when the server crashes, its listeners lose their connections, and Postgres' own queue starts empty too.
const table = `
CREATE UNLOGGED TABLE IF NOT EXISTS weft.notification (xid xid8 NOT NULL, channel text NOT NULL, payload text NOT NULL);`

// INFO: see weft.begun(). What only reads is not prepared, and could not write.
const notify = `
CREATE OR REPLACE FUNCTION weft.notify(channel text, payload text DEFAULT '') RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  IF coalesce(channel, '') = '' THEN
    RAISE EXCEPTION 'channel name cannot be empty' USING ERRCODE = '22023';
  ELSIF octet_length(channel) > ${CHANNEL_BYTES_MAX} THEN
    RAISE EXCEPTION 'channel name too long' USING ERRCODE = '22023';
  ELSIF octet_length(payload) > ${PAYLOAD_BYTES_MAX} THEN
    RAISE EXCEPTION 'payload string too long' USING ERRCODE = '22023';
  ELSIF current_setting('transaction_read_only')::bool THEN
    PERFORM pg_notify(channel, payload);
    RETURN;
  END IF;
  INSERT INTO weft.notification VALUES (pg_current_xact_id(), channel, coalesce(payload, ''));
  RAISE INFO USING MESSAGE = 'notifies', ERRCODE = '${TOLD_CODE}';
END $weft$;
GRANT EXECUTE ON FUNCTION weft.notify(text, text) TO PUBLIC;`

// Postgres tells the same twice in one transaction once, and those of two transactions never together. cmin: their order.
const tell = `
CREATE OR REPLACE PROCEDURE weft.tell_notifications() LANGUAGE plpgsql AS $weft$
DECLARE
  txn pg_catalog.xid8;
BEGIN
  LOOP
    PERFORM pg_catalog.pg_advisory_xact_lock(${TELLING_CLASS}, 0);
    SELECT n.xid INTO txn FROM weft.notification n ORDER BY n.xid LIMIT 1;
    EXIT WHEN NOT FOUND;
    PERFORM pg_catalog.pg_notify(n.channel, n.payload) FROM (
      SELECT * FROM weft.notification m WHERE m.xid OPERATOR(pg_catalog.=) txn ORDER BY m.cmin::text::bigint
    ) n;
    DELETE FROM weft.notification n WHERE n.xid OPERATOR(pg_catalog.=) txn;
    COMMIT;
  END LOOP;
END $weft$;`

export const notificationFunctions = table + notify + tell
