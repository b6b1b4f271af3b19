import type { Plan } from '../plan.ts'
import { refuse } from './plans.ts'

/** Statements about servers rather than databases, and a few that cannot be right through Weft. */
export const refusals = {
  alterSystem: (): Plan =>
    refuse(
      'ALTER SYSTEM',
      'server_statement',
      'ALTER SYSTEM is not supported',
      "Change the configuration on each shard's own server, or use ALTER ROLE … SET.",
    ),
  createDatabase: (): Plan =>
    refuse(
      'CREATE DATABASE',
      'server_statement',
      'CREATE DATABASE is not supported: a Weft cluster is one database',
      'Use a schema, or start another cluster.',
    ),
  dropDatabase: (): Plan =>
    refuse(
      'DROP DATABASE',
      'server_statement',
      'DROP DATABASE is not supported: a Weft cluster is one database',
      'Drop its schemas, or stop the cluster and drop the databases of its shards.',
    ),
  tablespace: (tag: string): Plan =>
    refuse(
      tag,
      'server_statement',
      `${tag} is not supported`,
      "Manage tablespaces on each shard's own server.",
    ),
  eventTrigger: (): Plan =>
    refuse(
      'CREATE EVENT TRIGGER',
      'server_statement',
      'CREATE EVENT TRIGGER is not supported',
      "It would fire for Weft's own statements on every shard.",
    ),
}
