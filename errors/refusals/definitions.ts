import type { Refusals } from './refusal.ts'

/** Of what defines and declares tables, and what belongs to them. */
export const definitions = {
  key_type: {
    what:
      'a shard key of a type of which Weft does not know equality and hashing, with a nondeterministic ' +
      'collation, or that is a generated column',
    why: 'the shard of a row is computed from the bytes of its key, before it is stored',
    instead: 'the error lists the types',
  },
  key_altered: {
    what: 'DROP, RENAME, a change of type or collation of the shard key',
    why: 'rows would belong to other shards',
    instead: '`undistribute_table`, change it, and declare the table again',
  },
  key_dropped: {
    what:
      'dropping the type, domain or extension of a shard key with CASCADE; renaming a value of an enum that is ' +
      'one',
    why: 'rows lie where the key says',
    instead: 'drop the table, or `undistribute_table`',
  },
  altered_declaration: {
    what: 'ALTER TABLE … SET (shard_key, colocate_with, reference)',
    why: 'its rows have to be moved',
    instead: '`create_distributed_table`, `create_reference_table`, `undistribute_table`',
  },
  colocated_key_types: {
    what: 'tables colocated by keys of different types',
    why: 'equal keys would be on different shards',
    instead: 'give both keys the same type',
  },
  unique_without_key: {
    what:
      'a primary key, unique or exclusion constraint or index of a sharded table that does not include its ' +
      'shard key',
    why: 'each shard checks uniqueness among its own rows only',
    instead: 'add the shard key to it, or make it a reference table',
  },
  foreign_key_to_part: {
    what:
      'a foreign key from a local or reference table to a sharded one, or from a sharded or reference table to ' +
      'a local one',
    why: 'a shard has not all rows of the referenced table',
    instead: 'make the referenced table a reference table',
  },
  foreign_key_across_shards: {
    what: 'a foreign key between sharded tables that are not colocated, or that does not pair their shard keys',
    why: 'referenced rows would be on other shards',
    instead: 'declare the table with `colocate_with`; add the shard keys to the foreign key',
  },
  foreign_key_changes_key: {
    what: 'ON DELETE or ON UPDATE actions that change the shard key (CASCADE, SET NULL, SET DEFAULT)',
    why: 'the rows would belong to other shards',
    instead: 'ON DELETE CASCADE, RESTRICT or NO ACTION; ON UPDATE RESTRICT or NO ACTION',
  },
  table_kind: {
    what: 'temporary, unlogged and system tables as sharded or reference tables; temporary views over sharded tables',
    why: "they are on one server only; a crash would empty one shard's part",
    instead: 'use a table that stays; ALTER TABLE … SET LOGGED',
  },
  inherits: {
    what:
      'inheritance between sharded or reference tables and others; declaring a table that ' +
      'inherits from another by itself, or with one that inherits from a third; a tree whose definitions were changed so ' +
      'that no statements make them alike again',
    why: 'a statement on the parent is one on tables with other keys, or none',
    instead: 'shard the parent: what inherits from it is sharded as it is',
  },
  partition_unlike: {
    what:
      'a partition that is not sharded as the partitioned table is: ATTACH PARTITION of a table with another ' +
      'key or colocation, a sharded partition of a local table, shard_key and its kin of a partition',
    why: 'rows of the whole have one key, and are where that says',
    instead: '`create_distributed_table(…, colocate_with => …)` first; declare the partitioned table itself',
  },
  partition_bounds: {
    what: 'bounds of partitions that tell a time or call functions',
    why: 'each shard would compute its own',
    instead: 'write the bounds as constants',
  },
  detach_concurrently: {
    what: 'ALTER TABLE … DETACH PARTITION … CONCURRENTLY',
    why: 'it runs in several transactions, on one shard after the other',
    instead: 'leave CONCURRENTLY out',
  },
  rule: {
    what: 'rules on or about sharded and reference tables, other than DO INSTEAD NOTHING without WHERE; declaring tables that have rules',
    why: 'they rewrite statements after Weft has decided where they run',
    instead: 'use row triggers, or write what the rule does into the statements',
  },
  trigger: {
    what:
      'reference tables with triggers: COPY, MERGE, writes through views, of primary keys, beside sharded tables, or in WITH beside any, of ' +
      'a table with row level security or that is part of a tree; a DELETE or UPDATE whose foreign keys make triggers of a reference ' +
      'table fire; deferrable triggers there; INSTEAD OF triggers on views over sharded tables',
    why: 'triggers of a reference table are on the home shard, and the other copies are told the rows as they came out there',
    instead: 'INSERT, UPDATE or DELETE of the table by itself',
  },
  policy_reads_table: {
    what:
      'policies that read a sharded table otherwise than by the key of their row, on a table that is colocated with it; on ' +
      'sharded and reference tables also those that read a local one',
    why: 'a shard has only its own part of it, or none',
    instead:
      'compare its key with that of the row, as in `WHERE m.tenant = docs.tenant`; use a reference table',
  },
  materialized_view: {
    what:
      'materialized views over tables that are partitioned, inherit or are inherited from; with ONLY, row locks, tableoid ' +
      'and its kin; by a role that does not own the sharded tables, or to whom their policies apply; over constraints ' +
      'that are NOT VALID; as sharded or reference tables; EXPLAIN of CREATE MATERIALIZED VIEW over sharded tables',
    why:
      'home has the rows of other shards in children of those tables meanwhile, which partitions cannot have, others ' +
      'than the owner cannot make, and such queries would tell apart',
    instead: 'have the owner do it; validate the constraint; use a view, or a table that you fill',
  },
  create_table_as: {
    what:
      'CREATE TABLE … AS and SELECT INTO from sharded tables, of a sharded or reference table or one whose name matters to ' +
      'other shards, when the query names a table of that name without its schema; EXPLAIN of one',
    why: 'the table is made first, and the query would read it',
    instead: 'name the schema of the table that is read; EXPLAIN the query',
  },
  schema_elements: {
    what:
      'CREATE SCHEMA AUTHORIZATION CURRENT_USER and its kin, without a name, and AUTHORIZATION SESSION_USER, with a sharded or ' +
      'reference table in the same statement',
    why: 'the statements are run one by one, with the names in their texts',
    instead: 'name the schema, and the role',
  },
  declare_call: {
    what:
      '`create_distributed_table(…)` and its kin beside other things in a statement, or with arguments that are ' +
      'no constants',
    why: 'it is run by Weft',
    instead: 'write `SELECT create_distributed_table(…)` as a statement of its own',
  },
  declared_in_snapshot: {
    what: 'declaring a table that has rows in a REPEATABLE READ or SERIALIZABLE transaction',
    why: 'its snapshot would not show rows that others have written since',
    instead: 'use a READ COMMITTED transaction',
  },
  weft_object: {
    what:
      "functions of schema `weft` that are Weft's own; names of constraints that are Weft's own, added, dropped " +
      'or given to others',
    why: 'they are called by Weft, with what it knows; such constraints keep rows on the shard that owns them',
    instead: 'use `create_distributed_table` and its kin; use another name',
  },
} as const satisfies Refusals
