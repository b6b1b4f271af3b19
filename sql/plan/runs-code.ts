import type { Catalog } from '../catalog.ts'
import { type Effects, NO_EFFECTS } from '../code/effects.ts'
import type { Reach } from '../code/overreach.ts'
import { as, type Node, type NodeKind, walk } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { tableName } from './reach.ts'

/** They are analyzed, or what is in them is, and say themselves what their code may reach. */
const ANALYZED: readonly NodeKind[] = [
  ...(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'CreateTableAsStmt'] as const),
  ...(['ExplainStmt', 'DoStmt', 'DeclareCursorStmt', 'FetchStmt', 'ClosePortalStmt'] as const),
  ...(['PrepareStmt', 'ExecuteStmt', 'DeallocateStmt'] as const),
]

/**
 * They run no code of users: they name it, or what they make says it, for later. What an extension's script does is that
 * extension's own.
 */
const WITHOUT_CODE: readonly NodeKind[] = [
  ...(['DropStmt', 'DropRoleStmt', 'DropOwnedStmt', 'DropUserMappingStmt', 'DropSubscriptionStmt'] as const),
  ...(['RenameStmt', 'AlterObjectSchemaStmt', 'AlterOwnerStmt', 'AlterObjectDependsStmt'] as const),
  ...(['CommentStmt', 'SecLabelStmt', 'GrantStmt', 'GrantRoleStmt', 'AlterDefaultPrivilegesStmt'] as const),
  ...(['ReassignOwnedStmt', 'CreateRoleStmt', 'AlterRoleStmt', 'AlterRoleSetStmt'] as const),
  ...(['CreateFunctionStmt', 'AlterFunctionStmt', 'CreateTrigStmt', 'RuleStmt', 'ViewStmt'] as const),
  ...(['CreatePolicyStmt', 'AlterPolicyStmt', 'CreateStatsStmt', 'AlterStatsStmt'] as const),
  ...(['CreateSeqStmt', 'AlterSeqStmt', 'DefineStmt', 'CompositeTypeStmt', 'CreateEnumStmt'] as const),
  ...([
    'CreateRangeStmt',
    'AlterEnumStmt',
    'AlterTypeStmt',
    'CreateDomainStmt',
    'AlterCollationStmt',
  ] as const),
  ...(['CreateConversionStmt', 'CreateCastStmt', 'CreateTransformStmt', 'CreatePLangStmt'] as const),
  ...(['CreateAmStmt', 'CreateOpClassStmt', 'CreateOpFamilyStmt', 'AlterOpFamilyStmt'] as const),
  ...(['AlterOperatorStmt', 'AlterTSDictionaryStmt', 'AlterTSConfigurationStmt'] as const),
  ...(['CreateExtensionStmt', 'AlterExtensionStmt', 'AlterExtensionContentsStmt'] as const),
  ...(['CreateFdwStmt', 'AlterFdwStmt', 'CreateForeignServerStmt', 'AlterForeignServerStmt'] as const),
  ...(['CreateUserMappingStmt', 'AlterUserMappingStmt', 'ImportForeignSchemaStmt'] as const),
  ...(['CreatePublicationStmt', 'AlterPublicationStmt', 'CreateSubscriptionStmt'] as const),
  ...(['AlterSubscriptionStmt', 'AlterEventTrigStmt', 'AlterDatabaseStmt', 'AlterDatabaseSetStmt'] as const),
  ...(['AlterDatabaseRefreshCollStmt', 'AlterTableMoveAllStmt', 'LockStmt', 'CheckPointStmt'] as const),
  ...(['ListenStmt', 'UnlistenStmt', 'NotifyStmt', 'LoadStmt'] as const),
]

const NOT_LOOKED_AT: ReadonlySet<NodeKind> = new Set([...ANALYZED, ...WITHOUT_CODE])

/** Whether a statement is known to run none, or says itself what that may reach. */
export const runsNone = (kind: NodeKind): boolean => NOT_LOOKED_AT.has(kind)

/** Of all other statements, but for those that run code as queries do: what the code may do that they run. */
export function effectsOfDefinition({ code }: Catalog, stmt: ParsedStatement): Effects {
  if (code === undefined || isBareSchema(stmt)) return NO_EFFECTS
  const isWhole = wholeOf(stmt)
  if (isWhole === undefined) return code.ofDefinition(stmt.text)
  return isWhole === 'none' ? NO_EFFECTS : code.ofUpkeep(stmt.text, isWhole === 'all')
}

/** CREATE SCHEMA makes nothing that runs, but for what is made in it. */
function isBareSchema({ node }: ParsedStatement): boolean {
  const schema = as(node, 'CreateSchemaStmt')
  return schema !== undefined && (schema.schemaElts ?? []).length === 0
}

/** Of upkeep: whether it is that of all tables, or whether nothing of theirs is computed. */
function wholeOf({ node }: ParsedStatement): 'all' | 'named' | 'none' | undefined {
  const vacuum = as(node, 'VacuumStmt')
  if (vacuum !== undefined) {
    const options = (vacuum.options ?? []).map((option) => as(option, 'DefElem')?.defname)
    const computes = vacuum.is_vacuumcmd !== true || options.includes('full') || options.includes('analyze')
    return !computes ? 'none' : vacuum.rels === undefined ? 'all' : 'named'
  }
  const cluster = as(node, 'ClusterStmt')
  if (cluster !== undefined) return cluster.relation === undefined ? 'all' : 'named'
  const reindex = as(node, 'ReindexStmt')
  return reindex && (reindex.relation === undefined ? 'all' : 'named')
}

/** What it names it defines anew, or looks through: what it does there is not told from what code does. */
export function reachOfDefinition({ distributed }: Catalog, { node }: ParsedStatement): Reach {
  const named = new Set<string>()
  walk(node, (kind, body) => {
    const { relname } = body as { readonly relname?: unknown }
    if (kind === 'RangeVar' && typeof relname === 'string') named.add(relname)
  })
  const tables = distributed.filter(({ name }) => named.has(name))
  return {
    tables: tables.map(tableName),
    onCopies: false,
    defines: checksKeys(node) ? 'checked' : 'plain',
  }
}

const CHECKS_KEYS: ReadonlySet<string | undefined> = new Set([
  ...[
    'AT_AddConstraint',
    'AT_ValidateConstraint',
    'AT_AlterColumnType',
    'AT_AttachPartition',
    'AT_AlterConstraint',
  ],
])

/** Of partitions too, which have the keys of the whole. */
function checksKeys(node: Node): boolean {
  const commands = (as(node, 'AlterTableStmt')?.cmds ?? []).map(
    (command) => as(command, 'AlterTableCmd')?.subtype,
  )
  return as(node, 'CreateStmt') !== undefined || commands.some((subtype) => CHECKS_KEYS.has(subtype))
}
