import type { Refusals } from './refusal.ts'

/** Of queries over several shards. */
export const reads = {
  same_names: {
    what:
      'columns with their schemas (`a.t.id`), beside two tables of one name, in writes, in row locks and with whole ' +
      'rows of such a table',
    why: 'gathered rows have no schemas',
    instead: 'give the tables other names, by AS',
  },
  group_by_primary_key: {
    what:
      'GROUP BY a primary key, beside whole rows, or subqueries that name columns, of a table with columns that have ' +
      'no equality',
    why: 'gathered rows have no primary key',
    instead: 'name the other columns in GROUP BY, too',
  },
  sample: {
    what:
      'TABLESAMPLE by another method than BERNOULLI and SYSTEM, or by a percentage that is volatile or of ' +
      'another table',
    why: 'each shard takes its part of the sample',
    instead: 'use BERNOULLI, with a constant',
  },
  row_lock: {
    what:
      'FOR UPDATE, FOR SHARE over several shards: with functions of users or of the home shard elsewhere than in ' +
      'the SELECT list, of a view of another role, of samples, with a subquery in LIMIT',
    why: 'the rows are found by gathering, and locked where they are: their places must be known',
    instead: 'lock the rows by a SELECT of the tables themselves',
  },
  reference_row_lock: {
    what:
      'row locks of a reference table to which a sharded one refers or that is joined with it: beside local ' +
      'tables, `random()`, functions of users, in a cursor, `CREATE TABLE … AS`, an INSERT or WITH of other ' +
      'tables, with SKIP LOCKED',
    why: 'its copies could not be locked alike',
    instead: 'lock by a SELECT of its own in the same transaction, or FOR NO KEY UPDATE',
  },
  run_first: {
    what:
      'a subquery or WITH query that locks or writes, and names columns of the query around it, or computes ' +
      'texts of columns with collations of their own',
    why: 'it is run first, and its rows are put in its place',
    instead: 'run it first, and pass its rows',
  },
  user_function: {
    what: 'functions of users with dynamic SQL, or that could read what is gathered, in a query over several shards',
    why: 'they would see the home shard only',
    instead: 'call them over the result',
  },
  home_function: {
    what:
      'a function that means something on the home shard only, in a statement on sharded tables that runs ' +
      'elsewhere',
    why: 'sequences, advisory locks, large objects and notifications are those of the home shard',
    instead: 'call it in a statement of its own first, and pass the result',
  },
  query_as_text: {
    what: '`query_to_xml`, `ts_stat` and other functions that are given a query as a text',
    why: 'the query would read one shard only',
    instead: 'run that query from the client',
  },
  server_value: {
    what:
      'casts to `regclass` and its kin, `current_database()`, `inet_server_port()` and the like, in writes and row ' +
      'locks over several shards',
    why: 'they mean something on one server only',
    instead: 'restrict the shard key to one value, or call them in a statement of its own',
  },
  system_column: {
    what: '`ctid` other than compared with those of the same table, which has a primary key; `xmin`, `tableoid` and the like, over several shards',
    why: 'they mean something on one server only',
    instead: 'restrict the shard key to one value, or use columns of your own',
  },
  current_of: {
    what:
      'WHERE CURRENT OF a cursor over several shards whose rows are put together, or were locked ahead; in a WITH query, ' +
      'or beside other sharded tables',
    why: 'the cursor stands on a copy of the row',
    instead: 'declare the cursor without ORDER BY, LIMIT and the like, or name the row by its primary key',
  },
  time_in_from: {
    what: '`CURRENT_TIMESTAMP(n)` and its kin, with a precision, in ROWS FROM',
    why: 'no function with that name and precision can stand in its place',
    instead: 'write it as an item of FROM of its own',
  },
  view_time: {
    what:
      'a view of others, or with `security_barrier`, that tells a time (`now()`), over several shards; any such view in ' +
      '`INSERT … SELECT`, `CREATE TABLE … AS`, cursors and COPY',
    why: 'each shard would tell its own, and such a view is read by its name',
    instead: '`security_invoker = true`; or say the time in the statement, not in the view',
  },
  unread_relation: {
    what:
      'a catalog of locks, statistics or sessions beside sharded tables; foreign tables; views of ' +
      'others, or with `security_barrier`, that put rows of several shards together (an aggregate of the whole ' +
      'table, ORDER BY, LIMIT)',
    why:
      'catalogs tell of one server; the rows of such a view are read by its name, with the rights of its owner, ' +
      'and no shard has them',
    instead: 'a statement of its own; `security_invoker = true`, or the query of the view in its place',
  },
  local_with_sharded: {
    what: 'a local table beside sharded ones, in a view, or in a statement that cannot be gathered',
    why: 'their rows are not at one place',
    instead: 'make the local table a reference table; query catalogs in a statement of their own',
  },
  nested_views: {
    what: 'views nested in views more than 50 deep',
    why: 'each is looked into, to know where its rows are',
    instead: 'write the query with fewer views',
  },
  inexact_text: {
    what:
      'values that travel as text (arrays, domains, types of users; floats in INSERT … SELECT, MERGE) under ' +
      '`extra_float_digits` < 1, or a DateStyle other than ISO and the like',
    why: 'the text would lose something',
    instead: "SET extra_float_digits = 1, DateStyle = 'ISO' and IntervalStyle = 'postgres'",
  },
  snapshot_export: {
    what: '`pg_export_snapshot()`, `SET TRANSACTION SNAPSHOT`',
    why: 'a snapshot of one shard says nothing about the others',
    instead: 'use ISOLATION LEVEL REPEATABLE READ',
  },
  several_shards: {
    what:
      'a query that each shard cannot answer for its own rows, and that cannot be gathered, for another reason ' +
      'than those above',
    why: 'what it reads, or what a name in it means, is not certain where its rows would be put together',
    instead: 'restrict the shard key to one value, or write the query in parts',
  },
} as const satisfies Refusals
