import type { Refusals } from './refusal.ts'

/** Of other statements, and of the protocol. */
export const statements = {
  cursor: {
    what:
      'WITH HOLD over code of which it cannot be known what it reads; DECLARE over several shards of a query ' +
      'that cannot be gathered; FETCH by SQL, other than forward, on a portal of the protocol that has run to ' +
      'its end',
    why: 'no backend has all of its rows, or nobody could look at what the code has read',
    instead:
      'declare it without WITH HOLD, in a transaction; fetch forward (NEXT, FORWARD n, ALL); or restrict the ' +
      'query to one shard key',
  },
  copy: {
    what:
      'COPY FROM into sharded and reference tables with ENCODING SQL_ASCII or MULE_INTERNAL, with DEFAULT beside columns whose ' +
      "defaults Weft computes, without such a column in binary or with NULL '', with a binary key that is none, with " +
      'REJECT_LIMIT where NOTICEs are not heard; COPY of a query over several shards that cannot be gathered',
    why: 'rows are read by the coordinator, to find their shards',
    instead:
      'leave the option out; use the text or csv format; convert the data to UTF8; put the column into the data',
  },
  copy_server_file: {
    what: "COPY of sharded and reference tables from or to a server's file or program",
    why: 'there are several servers',
    instead: 'COPY … FROM STDIN, TO STDOUT, or `\\copy` of psql',
  },
  prepare_transaction: {
    what: 'PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED',
    why: 'Weft prepares transactions itself when they commit on several shards',
    instead: 'COMMIT or ROLLBACK',
  },
  temporary_prepared: {
    what:
      'a write on several shards in a REPEATABLE READ or SERIALIZABLE transaction, or with the etcd log, that ' +
      'used temporary tables or dropped what they depend on',
    why: 'Postgres does not prepare such transactions ([0033](decisions/0033-the-last-participant-decides.md))',
    instead: 'use READ COMMITTED, or temporary tables in a transaction of their own',
  },
  isolation_level: {
    what:
      'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ or SERIALIZABLE, where a transaction that has begun on ' +
      'one shard comes to a second; LOCK TABLE as the first statement of a SERIALIZABLE READ ONLY DEFERRABLE ' +
      'transaction',
    why:
      'the two shards would have two snapshots; such a transaction waits for a snapshot that is safe, which the ' +
      'lock would come before',
    instead: 'BEGIN ISOLATION LEVEL …; lock after the first query',
  },
  setting: {
    what:
      'settings that cannot be followed: SET … FROM CURRENT outside a function definition, `set_config` of ' +
      'client_encoding, ALTER ROLE or DATABASE … SET of client_encoding, of standard_conforming_strings = off ' +
      'and of some of `weft.…`',
    why: "they would have to be known before the session's first statement, or change in its midst",
    instead: 'SET it in the session or in the options of its connection',
  },
  client_encoding: {
    what:
      'binary results, binary COPY and COPY into sharded and reference tables under a client_encoding other ' +
      'than UTF8',
    why: 'binary values may have texts in them, which cannot be converted',
    instead: "SET client_encoding = 'UTF8': the driver converts",
  },
  plain_backslash: {
    what:
      'a statement with standard_conforming_strings = off whose defaults or definitions have strings with a ' +
      'backslash',
    why: 'they were written with it on',
    instead: 'SET standard_conforming_strings = on for it',
  },
  function_call: {
    what: 'the function call message of the protocol, for other than large objects',
    why: 'it names functions by numbers, which differ from shard to shard',
    instead: 'call the function with SELECT',
  },
  server_statement: {
    what:
      'ALTER SYSTEM, tablespaces, LOAD, CREATE and DROP DATABASE, CREATE EVENT TRIGGER, renaming of roles and ' +
      'databases',
    why:
      'they are of a whole server, and a Weft cluster is one database of several; event triggers would fire for ' +
      "Weft's own statements",
    instead:
      "manage them on each shard's own server; ALTER ROLE … SET for settings; session_preload_libraries; a " +
      'schema in place of a database',
  },
  replication: {
    what:
      'replication connections; publications of sharded and reference tables, of all tables and of schemas; ' +
      'CREATE SUBSCRIPTION',
    why:
      'each server has its own part to tell, and subscriptions write past Weft, also on shards that do not own ' +
      'the rows',
    instead: "publish a sharded table's parts on each shard itself; copy data in with COPY",
  },
  unknown_statement: {
    what: 'a statement of a kind that Weft does not know',
    why: 'it is newer than this Weft',
    instead: 'run it on each shard, past Weft',
  },
} as const satisfies Refusals
