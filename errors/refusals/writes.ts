import type { Refusals } from './refusal.ts'

/** Of INSERT, UPDATE, DELETE and MERGE. */
export const writes = {
  key_change: {
    what:
      'an UPDATE of the shard key beside parts of columns (`SET a[1] = …`); with subqueries in a RETURNING that ' +
      'names `old` or columns of FROM, or `*` of a join by column names; by volatile or user functions with RETURNING ' +
      'of columns of FROM; in a WITH query beside an UPDATE or DELETE of its table',
    why: 'the new key says where the row belongs, and has to be known before the row is written',
    instead:
      'compute the key first; return the columns by their names; or DELETE and INSERT in one transaction',
  },
  conflict_key_change: {
    what:
      'ON CONFLICT DO UPDATE that sets the shard key, beside WITH before VALUES, volatile values or columns of EXCLUDED with ' +
      'defaults that are; of several rows with subqueries, functions of users or volatile ones in SET of what conflicts are about; ' +
      'ON CONSTRAINT of others than the primary key; where a foreign key refers to the table and is broken after one of the rows',
    why: 'rows are inserted, or changed and moved, one after the other, each in a statement of its own',
    instead: 'compute the values first; or delete the row and insert it with the new key, in one transaction',
  },
  merge_key_change: {
    what:
      'MERGE that sets the shard key by volatile functions, beside parts of columns, in a NOT MATCHED BY SOURCE ' +
      "clause, with the target's row as a value in RETURNING, or of a table with row level security",
    why: 'the new key says where the row belongs, and has to be known before the row is written',
    instead: 'UPDATE … FROM; return the columns by their names',
  },
  time_word_key: {
    what: "`'now'`, `'today'` and their kin as a value of the shard key; a timetz without its offset in numbers",
    why: 'each server reads the word by its own clock',
    instead: 'give the time itself',
  },
  statement_trigger: {
    what:
      'a write of a sharded table with triggers for whole statements or with transition tables that fire, or of one whose foreign ' +
      'keys change rows of such a table: on several shards, or in several steps; INSERT … SELECT, COPY, TRUNCATE',
    why: 'the trigger fires once and sees all rows of the statement; each shard would fire it, for its own rows',
    instead: 'name one shard key; use FOR EACH ROW; a row trigger sees every row wherever it is',
  },
  rows_moved: {
    what:
      'an UPDATE that moves rows to other shards, of a table with triggers or rules that would fire, with ' +
      'policies that are not FOR ALL, with a foreign key that is NOT VALID, or to whose rows others refer by a ' +
      'foreign key whose ON DELETE is not its ON UPDATE; back to a key that it had before in the same ' +
      'transaction',
    why:
      'they are moved by a DELETE and an INSERT, which are not an UPDATE to them, and to who waits for a row ' +
      'that comes back',
    instead: 'say DELETE and INSERT, in one transaction; commit before it moves back',
  },
  different_keys: {
    what: 'a statement whose shard keys are constants of several shards, and whose rows cannot be gathered',
    why: 'it runs on one shard',
    instead: 'use the same key everywhere; run the subquery first and pass its result',
  },
  volatile_write: {
    what:
      'UPDATE and DELETE whose rows are found by gathering, with functions of users, or with volatile ones in ' +
      'conditions beside FROM or USING, or in subqueries of SET or RETURNING',
    why: 'they would be called twice, for finding the rows and for writing',
    instead: 'call them first, and pass the result',
  },
  limited_write: {
    what:
      'UPDATE and DELETE over several shards that join a query with LIMIT, in a READ COMMITTED transaction: of a table without a ' +
      'primary key or with row level security, by a role that may not update it, beside volatile functions, or where the ' +
      'query names columns around it',
    why:
      'what the query leaves and the rows that are meant are to be of one state, with no snapshot: so the rows have to be ' +
      "told by a key, and locked by an UPDATE's rights",
    instead: 'BEGIN ISOLATION LEVEL REPEATABLE READ, or lock the rows of that query (FOR SHARE)',
  },
  row_security: {
    what:
      'a write by gathering of a table whose policies differ by command, that reads no column of it; a DELETE of such a table, or ' +
      'by a role that may not update it, in a READ COMMITTED transaction',
    why:
      'its rows are found under the policies of SELECT, which could hide what it is to change; and locked as an UPDATE locks ' +
      'them',
    instead: 'restrict the shard key; BEGIN ISOLATION LEVEL REPEATABLE READ; policies FOR ALL',
  },
  write_through_view: {
    what:
      'a write through a view of a sharded or reference table that needs gathering; views with subqueries, ' +
      'functions of users or times in their query, with triggers, rules or defaults of their own; INSERT where ' +
      'the view does not show the shard key',
    why: 'rows of a view have no places by which they are found again',
    instead: 'write the table itself',
  },
  with_write: {
    what:
      'a WITH query that writes what the rest changes too, where a foreign key would notice the order, code may read ' +
      'tables, the target has no primary key or nobody reads its rows; in a READ COMMITTED transaction, MERGE and row ' +
      'locks beside other tables, and a target without a primary key or with row level security',
    why: 'in Postgres both see one state; it would be run first, and the rest would see what it did',
    instead: 'a statement of its own, in the same transaction; BEGIN ISOLATION LEVEL REPEATABLE READ',
  },
  merge: {
    what:
      'MERGE over several shards with volatile functions in ON, conditions, subqueries or RETURNING, functions of ' +
      'users; a subquery as the key of a row that is inserted; sequences in UPDATE; ' +
      'with WHEN NOT MATCHED BY SOURCE in a READ COMMITTED transaction, into a table without a primary key or with row ' +
      'level security',
    why: 'which rows it is about is looked at more than once, and each shard runs it for its own rows',
    instead:
      'compute the values in the source; BEGIN ISOLATION LEVEL REPEATABLE READ; or restrict the shard key to one ' +
      'value',
  },
  insert_values: {
    what: 'INSERT … VALUES with more than 1,600 subqueries',
    why: 'one query computes all of them first, and cannot have more columns',
    instead: 'insert fewer rows at a time; or use INSERT … SELECT',
  },
  insert_columns: {
    what:
      'INSERT … SELECT whose rows travel, into a part of a column whose place is computed (`INSERT INTO t (a[n])`); ' +
      'a query whose columns Postgres cannot count either',
    why: 'each shard would compute it anew',
    instead: 'write its place as a constant',
  },
  insert_select_tail: {
    what:
      'in ON CONFLICT or RETURNING of an INSERT over several shards: subqueries that name columns of its table and read ' +
      'sharded or local ones, or any in a READ COMMITTED transaction beside a query that reads tables; in INSERT … SELECT ' +
      'into parts of columns: volatile functions, sequences; DO UPDATE of very many rows for one shard',
    why: 'subqueries are run first; the rows go to each shard in several statements, which each would call functions anew',
    instead:
      'run the subquery first and pass its result; BEGIN ISOLATION LEVEL REPEATABLE READ; insert fewer rows at a time',
  },
  sequence_default: {
    what:
      'a default that draws from a sequence, in a WITH query, an INSERT … SELECT that stays on the shards, a MERGE ' +
      'whose source has no certain rows; ADD COLUMN of a serial that cycles, with a default that names a sequence, ' +
      'or of a reference table without a primary key or with row level security',
    why: 'shards would draw from sequences of their own, which repeat the numbers of each other',
    instead: 'give the column a value, for example from `SELECT nextval(…)` before',
  },
  unstable_default: {
    what:
      'a default that differs from shard to shard (a sequence, `random()`, a time of its own): SET … = DEFAULT of ' +
      'a column GENERATED ALWAYS, in INSERT … SELECT … ON CONFLICT and MERGE; ADD COLUMN to a reference table without a primary key ' +
      'or with row level security, by functions of users, of a domain',
    why: 'each shard, or each copy, would compute its own',
    instead: 'give the value; ADD COLUMN without the default, SET DEFAULT, then UPDATE the rows',
  },
  reference_write_from: {
    what:
      'UPDATE, DELETE and MERGE of a reference table from other tables, where it has no primary key, with ' +
      "RETURNING of FROM's columns, with user functions, volatile ones elsewhere than in SET; a LIMIT in FROM",
    why: 'rows are found on one copy and told by their primary key on the others',
    instead:
      'give it a primary key; return the columns of the table; select the values first, in a REPEATABLE READ ' +
      'transaction if others write',
  },
  reference_write_unstable: {
    what:
      'functions of users, WHERE CURRENT OF and the like in a write to a reference table; volatile functions ' +
      'elsewhere than in SET of an UPDATE',
    why: 'its copies would differ',
    instead: 'compute the value first and pass it as a parameter',
  },
  reference_merge: {
    what:
      'MERGE into a reference table without a primary key; with volatile functions other than for a whole value of ' +
      'an INSERT, functions of users, row level security',
    why: 'rows are found on one copy and told by their primary key on the others',
    instead: 'give it a primary key; compute the values in the source',
  },
} as const satisfies Refusals
