import type { CreateDomainStmt } from '@pgsql/types'
import { PgError } from '../../../errors/pg-error.ts'
import type { Catalog } from '../../catalog.ts'
import { as, type Body, kindOf, type NodeKind, walk } from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import type { Plan, PlanContext } from '../plan.ts'
import { planAlterTable, planMoveAll } from './alter-table.ts'
import { planCopy } from './copy.ts'
import { planCreateForeignTable, planCreateTable } from './create-table.ts'
import { planCreateTableAs, planSelectInto } from './create-table-as.ts'
import { planClose, planDeclare, planFetch } from './cursor.ts'
import { CHECK_KEYS, planDrop } from './drop.ts'
import { planAlterEnum } from './enums.ts'
import { planExplain } from './explain.ts'
import { planComment, planGrant, planSecurityLabel } from './grant.ts'
import { planRefresh } from './materialized-view.ts'
import { atPlace, objectWords } from './objects.ts'
import { ddl, ddlWhereItExists, forwardHome, PINS, refuse, refused } from './plans.ts'
import { planDeallocate, planExecute, planPrepare } from './prepared.ts'
import {
  planCall,
  planCheckpoint,
  planDo,
  planListen,
  planLoad,
  planNotify,
  planUnlisten,
} from './procedural.ts'
import { refusals } from './refusals.ts'
import { planDepends, planOwner, planRename, planSetSchema } from './rename.ts'
import { planAlterPublication, planCreatePublication, planCreateSubscription } from './replication.ts'
import { planAlterRole, planAlterRoleSet, planCreateRole } from './role.ts'
import { planAlterFunction, planCreateFunction } from './routine.ts'
import { planCreateSchema } from './schema.ts'
import type { Scope } from './scope.ts'
import { planAlterSequence, planCreateSequence } from './sequence.ts'
import {
  planDiscard,
  planSet,
  planSetConstraints,
  planShow,
  refusedDefault,
  VALUE_MATTERS,
} from './setting.ts'
import {
  planCreateIndex,
  planCreateRule,
  planCreateStatistics,
  planCreateTrigger,
  planPolicy,
} from './table-parts.ts'
import { planCluster, planLock, planReindex, planTruncate, planVacuum } from './tables.ts'
import { planTransaction } from './transaction.ts'
import { planView } from './view.ts'

/**
 * Plans every statement that is not a plain SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES (SELECT INTO is one of its
 * own). `planInner` plans the statements inside EXPLAIN, DECLARE, COPY (…) TO and CREATE TABLE AS.
 * What Weft does not know, or cannot do correctly, comes back as a RefusedPlan that says so.
 */
export function planUtility(
  stmt: ParsedStatement,
  catalog: Catalog,
  ctx: PlanContext,
  planInner: Scope['planInner'],
): Plan {
  const scope: Scope = { stmt, catalog, ctx, planInner }
  const kind = kindOf(stmt.node)
  try {
    return planKind(scope, kind)
  } catch (error) {
    if (error instanceof PgError) return refused(statementWords(kind), error)
    throw error
  }
}

function planKind(scope: Scope, kind: NodeKind): Plan {
  const handler = HANDLERS[kind] as ((scope: Scope, body: unknown) => Plan) | undefined
  if (handler === undefined) {
    return refuse(statementWords(kind), 'unknown_statement', `${statementWords(kind)} is not supported`)
  }
  const plan = handler(scope, (scope.stmt.node as unknown as Record<string, unknown>)[kind])
  const isShared = plan.kind === 'ddl' && plan.where === 'all' && kind !== 'CreateFunctionStmt'
  return isShared && isOfTemporary(scope) ? forwardHome(plan.tag, { effects: PINS }) : plan
}

/** What it makes or changes is in the session's temporary schema, which other shards have not. */
function isOfTemporary({ stmt }: Scope): boolean {
  if (!/pg_temp/i.test(stmt.text)) return false
  let isTemporary = false
  walk(stmt.node, (kind, body) => {
    const { sval, schemaname } = body as { readonly sval?: unknown; readonly schemaname?: unknown }
    const schema = kind === 'String' ? sval : kind === 'RangeVar' ? schemaname : undefined
    isTemporary ||= typeof schema === 'string' && schema.startsWith('pg_temp')
  })
  return isTemporary
}

const WORDS: { readonly [K in NodeKind]?: string } = {
  CreateStmt: 'CREATE TABLE',
  CreateTrigStmt: 'CREATE TRIGGER',
  IndexStmt: 'CREATE INDEX',
  RuleStmt: 'CREATE RULE',
  ViewStmt: 'CREATE VIEW',
}

/** The statement's name for an error: `AlterOperatorStmt` → `ALTER OPERATOR`. */
function statementWords(kind: NodeKind): string {
  return (WORDS[kind] ?? kind)
    .replace(/Stmt$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase()
}

type Handlers = { readonly [K in NodeKind]?: (scope: Scope, body: Body<K>) => Plan }

/** The same on every shard, and nothing that plans depend on. */
const everywhere = (tag: string) => () => ddl(tag, 'all')
/** The same on every shard; it can bring, take or rename functions, schemas or tables. */
const everywhereChanging = (tag: string) => () => ddl(tag, 'all', { changesMap: true })
/** The same too, but where it is about the row type of a local table, or what is made of one, the others lack that. */
const wherePossible = (tag: string) => (scope: Scope) => ddlWhereItExists(scope, tag)
/** Names of functions and operators: calls and comparisons may mean these from now on. */
const changesCalls = (kind: string | undefined): boolean =>
  kind === 'OBJECT_AGGREGATE' || kind === 'OBJECT_OPERATOR'
const hasDefault = ({ constraints = [] }: CreateDomainStmt): boolean =>
  constraints.some((node) => as(node, 'Constraint')?.contype === 'CONSTR_DEFAULT')
const onHome = (tag: string) => () => ddl(tag, 'home')

const SESSION: Handlers = {
  TransactionStmt: (_, body) => planTransaction(body),
  VariableSetStmt: (_, body) => planSet(body),
  VariableShowStmt: (_, body) => planShow(body),
  DiscardStmt: (_, body) => planDiscard(body),
  ConstraintsSetStmt: planSetConstraints,
  ListenStmt: planListen,
  UnlistenStmt: planUnlisten,
  NotifyStmt: planNotify,
  LoadStmt: planLoad,
  CheckPointStmt: planCheckpoint,
  DoStmt: planDo,
  CallStmt: (scope, body) => planCall(scope, body),
  PrepareStmt: planPrepare,
  ExecuteStmt: planExecute,
  DeallocateStmt: (_, body) => planDeallocate(body),
  DeclareCursorStmt: planDeclare,
  FetchStmt: (_, body) => planFetch(body),
  ClosePortalStmt: (_, body) => planClose(body),
  ExplainStmt: planExplain,
  CopyStmt: planCopy,
}

const TABLES: Handlers = {
  CreateStmt: planCreateTable,
  CreateTableAsStmt: planCreateTableAs,
  SelectStmt: planSelectInto,
  CreateForeignTableStmt: planCreateForeignTable,
  AlterTableStmt: planAlterTable,
  AlterTableMoveAllStmt: (_, body) => planMoveAll(body),
  TruncateStmt: planTruncate,
  LockStmt: planLock,
  VacuumStmt: planVacuum,
  ClusterStmt: planCluster,
  ReindexStmt: planReindex,
  RefreshMatViewStmt: planRefresh,
  IndexStmt: planCreateIndex,
  ViewStmt: planView,
  CreateSeqStmt: planCreateSequence,
  AlterSeqStmt: planAlterSequence,
  CreateTrigStmt: planCreateTrigger,
  RuleStmt: planCreateRule,
  CreatePolicyStmt: (scope, body) => planPolicy(scope, 'CREATE POLICY', body),
  AlterPolicyStmt: (scope, body) => planPolicy(scope, 'ALTER POLICY', body),
  CreateStatsStmt: planCreateStatistics,
  AlterStatsStmt: (scope) => atPlace(scope, 'ALTER STATISTICS', 'maybe'),
}

const OBJECTS: Handlers = {
  DropStmt: planDrop,
  RenameStmt: planRename,
  AlterObjectSchemaStmt: planSetSchema,
  AlterOwnerStmt: planOwner,
  AlterObjectDependsStmt: planDepends,
  CommentStmt: planComment,
  SecLabelStmt: planSecurityLabel,
  GrantStmt: planGrant,
  CreateFunctionStmt: planCreateFunction,
  AlterFunctionStmt: planAlterFunction,
  CreateSchemaStmt: planCreateSchema,
  DefineStmt: (scope, body) =>
    ddlWhereItExists(scope, `CREATE ${objectWords(body.kind)}`, {
      changesMap: changesCalls(body.kind),
    }),
  CreateExtensionStmt: everywhereChanging('CREATE EXTENSION'),
  AlterExtensionStmt: everywhereChanging('ALTER EXTENSION'),
  AlterExtensionContentsStmt: everywhere('ALTER EXTENSION'),
  CompositeTypeStmt: wherePossible('CREATE TYPE'),
  CreateEnumStmt: everywhere('CREATE TYPE'),
  CreateRangeStmt: wherePossible('CREATE TYPE'),
  AlterEnumStmt: planAlterEnum,
  AlterTypeStmt: wherePossible('ALTER TYPE'),
  // What their default calls, every column of theirs does.
  CreateDomainStmt: (scope, body) =>
    ddlWhereItExists(scope, 'CREATE DOMAIN', { changesMap: hasDefault(body) }),
  AlterDomainStmt: (scope, body) =>
    ddlWhereItExists(scope, 'ALTER DOMAIN', { changesMap: body.subtype === 'T' }),
  AlterCollationStmt: everywhere('ALTER COLLATION'),
  CreateConversionStmt: wherePossible('CREATE CONVERSION'),
  CreateCastStmt: (scope) => ddlWhereItExists(scope, 'CREATE CAST', { changesMap: true }),
  CreateTransformStmt: wherePossible('CREATE TRANSFORM'),
  CreatePLangStmt: everywhere('CREATE LANGUAGE'),
  CreateAmStmt: everywhere('CREATE ACCESS METHOD'),
  CreateOpClassStmt: wherePossible('CREATE OPERATOR CLASS'),
  CreateOpFamilyStmt: everywhere('CREATE OPERATOR FAMILY'),
  AlterOpFamilyStmt: wherePossible('ALTER OPERATOR FAMILY'),
  AlterOperatorStmt: wherePossible('ALTER OPERATOR'),
  AlterTSDictionaryStmt: everywhere('ALTER TEXT SEARCH DICTIONARY'),
  AlterTSConfigurationStmt: everywhere('ALTER TEXT SEARCH CONFIGURATION'),
}

const ROLES: Handlers = {
  CreateRoleStmt: planCreateRole,
  AlterRoleStmt: planAlterRole,
  AlterRoleSetStmt: planAlterRoleSet,
  DropRoleStmt: everywhereChanging('DROP ROLE'),
  GrantRoleStmt: (_, body) => ddl(body.is_grant === true ? 'GRANT ROLE' : 'REVOKE ROLE', 'all'),
  AlterDefaultPrivilegesStmt: everywhere('ALTER DEFAULT PRIVILEGES'),
  DropOwnedStmt: () => ddl('DROP OWNED', 'all', { changesMap: true, tidySql: CHECK_KEYS }),
  ReassignOwnedStmt: everywhere('REASSIGN OWNED'),
}

const SERVERS: Handlers = {
  CreateFdwStmt: onHome('CREATE FOREIGN DATA WRAPPER'),
  AlterFdwStmt: onHome('ALTER FOREIGN DATA WRAPPER'),
  CreateForeignServerStmt: onHome('CREATE SERVER'),
  AlterForeignServerStmt: onHome('ALTER SERVER'),
  CreateUserMappingStmt: onHome('CREATE USER MAPPING'),
  AlterUserMappingStmt: onHome('ALTER USER MAPPING'),
  DropUserMappingStmt: onHome('DROP USER MAPPING'),
  // The tables it makes may take names that plans know.
  ImportForeignSchemaStmt: () => ddl('IMPORT FOREIGN SCHEMA', 'home', { changesMap: true }),
  CreatePublicationStmt: planCreatePublication,
  AlterPublicationStmt: planAlterPublication,
  CreateSubscriptionStmt: planCreateSubscription,
  AlterSubscriptionStmt: () => ddl('ALTER SUBSCRIPTION', 'home', {}, { outsideTransaction: true }),
  DropSubscriptionStmt: () => ddl('DROP SUBSCRIPTION', 'home', {}, { outsideTransaction: true }),
  CreateEventTrigStmt: refusals.eventTrigger,
  AlterEventTrigStmt: onHome('ALTER EVENT TRIGGER'),
  CreatedbStmt: refusals.createDatabase,
  DropdbStmt: refusals.dropDatabase,
  AlterDatabaseStmt: (scope) => atPlace(scope, 'ALTER DATABASE', 'database'),
  AlterDatabaseSetStmt: (scope, body) =>
    refusedDefault('ALTER DATABASE', body.setstmt) ??
    atPlace(scope, 'ALTER DATABASE', 'database', false, VALUE_MATTERS),
  AlterDatabaseRefreshCollStmt: (scope) => atPlace(scope, 'ALTER DATABASE', 'database'),
  AlterSystemStmt: refusals.alterSystem,
  CreateTableSpaceStmt: () => refusals.tablespace('CREATE TABLESPACE'),
  DropTableSpaceStmt: () => refusals.tablespace('DROP TABLESPACE'),
  AlterTableSpaceOptionsStmt: () => refusals.tablespace('ALTER TABLESPACE'),
}

const HANDLERS: Handlers = { ...SESSION, ...TABLES, ...OBJECTS, ...ROLES, ...SERVERS }
