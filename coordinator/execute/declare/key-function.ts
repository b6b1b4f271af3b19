import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { noticeResponse } from '../../../protocol/wire/backend-messages.ts'
import { FIRST_USER_OID, type KeyType } from '../../../sql/catalog.ts'
import { proofOf } from '../../../sql/plan/keyed-function.ts'
import { type ExecContext, HOME } from '../context.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { markMapChanged } from './ddl.ts'
import { findGroup } from './declare.ts'
import { defaultColocation, keyTypeOf, sameFamily } from './declare-checks.ts'
import { baseTypeSql } from './declare-facts.ts'

/** `SELECT create_distributed_function('f(int, text)', 'p_id', colocate_with => 'orders')`. */
interface Wanted {
  readonly name: string
  readonly argument: string | undefined
  readonly colocateWith: string | undefined
}

/** Gives a function a shard key: from then on calls with a constant for it run on the key's shard. */
export async function keyFunction(ctx: ExecContext, wanted: Wanted): Promise<void> {
  await ctx.needTransaction()
  const runner = new SessionRunner(ctx)
  const found = await findFunction(runner, wanted.name)
  if (wanted.argument === undefined) return ctx.out.aside(nothingToDo(found))
  const { index, typeOid, keyType } = keyOf(found, wanted.argument)
  const colocation = await colocationOf(runner, found, keyType, wanted.colocateWith)
  const params = [found.oid, String(index + 1), String(typeOid), keyType, String(colocation)]
  const sql = 'SELECT weft.declare_function($1::regprocedure, $2::int, $3::oid, $4, $5::int)'
  await runner.query(HOME, sql, params, 'write')
  markMapChanged(ctx)
  const catalog = await ctx.catalog()
  const keyed = catalog.keyedFunctions?.get(found.name)
  if (keyed === undefined) throw severalOfName(found)
  const proof = proofOf(catalog, keyed)
  if (proof.kind === 'unproven') throw proof.error
}

export async function unkeyFunction(ctx: ExecContext, name: string): Promise<void> {
  await ctx.needTransaction()
  const runner = new SessionRunner(ctx)
  const { oid } = await findFunction(runner, name)
  const { rows } = await runner.query(HOME, 'SELECT FROM weft.function f WHERE f.funcid = $1::oid', [oid])
  if (rows.length === 0) throw new PgError({ code: '55000', message: `function ${name} is not distributed` })
  const sql = 'SELECT weft.declare_function($1::regprocedure, NULL, NULL, NULL, NULL)'
  await runner.query(HOME, sql, [oid], 'write')
  markMapChanged(ctx)
}

interface Argument {
  readonly name: string | null
  readonly mode: string
  readonly typeOid: number
  readonly type: string
  /** Of Postgres' own types. */
  readonly base: string | null
}

interface Found {
  readonly oid: string
  readonly name: string
  readonly signature: string
  readonly args: readonly Argument[]
}

const FUNCTION = `SELECT p.oid, p.proname, p.oid::regprocedure, coalesce((
    SELECT json_agg(json_build_object('name', nullif(p.proargnames[i], ''), 'mode', coalesce(p.proargmodes[i], 'i'),
      'typeOid', t::int8, 'type', format_type(t, NULL), 'base', CASE WHEN t < ${FIRST_USER_OID} THEN ${baseTypeSql('t')} END) ORDER BY i)
    FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS a(t, i)), '[]'), p.prokind
  FROM pg_proc p WHERE p.oid = $1::regprocedure`

async function findFunction(runner: SessionRunner, named: string): Promise<Found> {
  const { rows } = await runner.query(HOME, FUNCTION, [named])
  const [oid, name, signature, args, kind] = rows[0]!.map((value) => value ?? '')
  if (kind !== 'f' && kind !== 'p') {
    throw new PgError({ code: '42809', message: `${signature} is not a function or procedure` })
  }
  return { oid: oid!, name: name!, signature: signature!, args: JSON.parse(args!) as Argument[] }
}

/** By its name, or as `$n` of those that go in. */
function keyOf({ signature, args }: Found, wanted: string) {
  const isIn = ({ mode }: Argument) => mode === 'i' || mode === 'b' || mode === 'v'
  const number = /^\$(\d+)$/.exec(wanted)?.[1]
  const found =
    number === undefined ? args.find((a) => a.name === wanted) : args.filter(isIn)[Number(number) - 1]
  if (found === undefined || !isIn(found)) {
    throw new PgError({
      code: '42P13',
      message: `cannot distribute the function ${signature}: it has no argument ${wanted}`,
      hint: 'Name one of its input arguments, or its number, as in $1.',
    })
  }
  const keyType = keyTypeOf(found.base)
  if (keyType === undefined || found.mode !== 'i') {
    throw weftError('not_supported', {
      id: 'keyed_function',
      what: `argument ${wanted} of ${signature}, of type ${found.type}, cannot be a shard key`,
      hint: 'It must be an argument that only goes in, of the type of the shard key of tables.',
    })
  }
  return { index: args.indexOf(found), typeOid: found.typeOid, keyType }
}

async function colocationOf(
  runner: SessionRunner,
  { signature }: Found,
  keyType: KeyType,
  colocateWith: string | undefined,
): Promise<number> {
  const group = await findGroup(runner, colocateWith)
  if (group === undefined) return defaultColocation(keyType)
  if (group.kind === 'new') {
    throw new PgError({
      code: '22023',
      message: 'colocate_with of a function must be the name of a sharded table',
    })
  }
  if (sameFamily(keyType, group.keyType)) return group.number
  throw new PgError({
    code: '42804',
    message:
      `cannot colocate function ${signature} and table "${group.table}": the argument is ${keyType}, ` +
      `the shard key ${group.keyType}`,
  })
}

function severalOfName({ signature, name }: Found) {
  return weftError('not_supported', {
    id: 'keyed_function',
    what: `a shard key of ${signature}, beside which there are other functions named ${name}, is not supported`,
    hint: 'Give it a name of its own.',
  })
}

function nothingToDo({ signature }: Found): Buffer {
  return noticeResponse({
    severity: 'NOTICE',
    severityRaw: 'NOTICE',
    code: '00000',
    message: `function ${signature} is on all shards already`,
    hint: 'With the name of an argument, calls run on the shard of that key.',
  })
}
