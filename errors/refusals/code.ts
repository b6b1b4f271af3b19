import type { Refusals } from './refusal.ts'

/** Of functions, triggers and other code that runs in the database. */
export const code = {
  function_names_table: {
    what: 'a function of users, procedure, DO block or operator that names a sharded or reference table',
    why: 'it runs on one shard, and would see that one only',
    instead: 'run its statements from the client, in one transaction; or `create_distributed_function`',
  },
  code_reaches_shards: {
    what:
      'code that reads a sharded table, writes a sharded or reference one, draws from a sequence beside sharded ' +
      'rows, changes roles, or defines what Weft does not carry to other shards, as is found when it has run ' +
      '(dynamic SQL); code that may commit in its midst, of which that cannot be found',
    why: 'it would be so on one shard, or of one copy',
    instead: 'run its statements from the client, in one transaction',
  },
  trigger_reads_table: {
    what:
      'a trigger function that names its sharded table otherwise than by the key of its row; such code beside ' +
      'rows that move',
    why: 'it would see one shard only',
    instead: 'compare the key with that of the row, as in `WHERE k = NEW.k`',
  },
  keyed_function: {
    what:
      '`create_distributed_function` by an argument that cannot be a shard key, of one of several functions of ' +
      'a name, of a body that is not proven to keep to the key (dynamic SQL, local tables, writes to reference ' +
      'tables, sequences, utility statements); a call where the session finds other tables or operators by the ' +
      'names in the body',
    why: 'it runs on the shard of its key, and would see that one only',
    instead:
      'read and change sharded tables by the key only; run other statements from the client; give it a name of ' +
      'its own',
  },
  keyed_function_call: {
    what:
      'a call of a function with a shard key whose key is no constant or parameter, beside rows of other keys, ' +
      'or with what runs on the home shard only',
    why: 'the whole statement runs on the shard of that key',
    instead: 'call it in a SELECT or CALL of its own, with a literal or a parameter, once for each key',
  },
  backends_in_code: {
    what: 'code that names backends: `pg_backend_pid()`, `pg_cancel_backend()`, `pg_stat_activity`, …',
    why: 'sessions of clients are not those of the shards, which code in the database sees',
    instead: 'call them in the statement itself, and pass on what they say',
  },
  session_function: {
    what:
      '`pg_cancel_backend()` and `pg_terminate_backend()` beside sharded tables or with a timeout, ' +
      '`pg_safe_snapshot_blocking_pids()`, such names in Unicode escapes',
    why: 'sessions are those of the coordinators',
    instead: 'select the pids first, then call the function with each; write the names without quotes',
  },
  currval_elsewhere: {
    what: '`lastval()` and `currval()` in functions, of what the session drew on another connection',
    why: 'each connection knows what it drew itself',
    instead: 'call them in the statement and pass the result',
  },
  notify_in_code: {
    what: 'a transaction over several shards in which code (a trigger, a function) notifies or listens',
    why: 'Postgres does not prepare such transactions',
    instead: 'call `weft.notify(channel, payload)` there',
  },
} as const satisfies Refusals
