import { Command } from 'commander'
import type { Change, Progress, Shard, Table, TableParts } from '../admin/api/schemas.ts'
import { type ApiFlags, ask, asking, askLong, print } from './api.ts'
import { bytes, fields, table } from './print.ts'
import { progressLine } from './progress.ts'

const tablePath = (name: string): string => `/api/tables/${encodeURIComponent(name)}`
const sized = <T extends { readonly bytes: number | null }>(one: T) => ({ ...one, bytes: bytes(one.bytes) })
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

export function shardCommand(): Command {
  const command = new Command('shard').description('the shards')
  command.addCommand(
    asking('list', 'all of them: their servers, pools and slots').action(async (flags: ApiFlags) => {
      const columns = [
        'shard',
        'up',
        'server_version',
        'slots',
        'bytes',
        'busy',
        'idle',
        'waiting',
        'prepared',
        'error',
      ]
      print(flags, await ask<Shard[]>(flags, '/api/shards'), (all) => table(all.map(sized), columns))
    }),
  )
  command.addCommand(
    asking('show', 'one of them')
      .argument('<shard>')
      .action(async (shard: string, flags: ApiFlags) => {
        print(flags, await ask<Shard>(flags, `/api/shards/${encodeURIComponent(shard)}`), (one) =>
          fields(sized(one)),
        )
      }),
  )
  return command
}

export function slotsCommand(): Command {
  return asking('slots', 'who owns which slots, how much is in them, and how evenly').action(
    async (flags: ApiFlags) => {
      const columns = ['shard', 'slots', 'share', 'bytes', 'skew', 'slot_ranges']
      print(flags, await ask<Shard[]>(flags, '/api/shards'), (all) =>
        table(
          all.map((one) => ({ ...sized(one), share: percent(one.slot_share) })),
          columns,
        ),
      )
    },
  )
}

const LOOK_MS = 500

/** With a bar where somebody looks at it. */
async function moving(flags: ApiFlags, name: string, what: string, body: object): Promise<Change> {
  const isSeen = process.stderr.isTTY === true && flags.json !== true
  const begunMs = Date.now()
  let looking = Promise.resolve()
  const look = async (): Promise<void> => {
    const found = await ask<Progress>(flags, `${tablePath(name)}/progress`).catch(() => undefined)
    if (found !== undefined) process.stderr.write(`\r${progressLine(found, Date.now() - begunMs)}\u001b[K`)
  }
  const timer = isSeen ? setInterval(() => (looking = looking.then(look)), LOOK_MS) : undefined
  try {
    return await askLong<Change>(flags, `${tablePath(name)}/${what}`, body)
  } finally {
    clearInterval(timer)
    await looking
    if (isSeen) process.stderr.write('\r\u001b[K')
  }
}

interface ShardFlags extends ApiFlags {
  readonly key: string
  readonly colocateWith?: string
}

export function tableCommand(): Command {
  const command = new Command('table').description('tables: sharded, reference and local ones')
  command.addCommand(
    asking('list', 'all of them').action(async (flags: ApiFlags) => {
      print(flags, await ask<Table[]>(flags, '/api/tables'), (all) => table(all.map(sized)))
    }),
  )
  command.addCommand(
    asking('show', 'one of them, and its part on each shard')
      .argument('<table>', 'name, or schema.name')
      .action(async (name: string, flags: ApiFlags) => {
        print(flags, await ask<TableParts>(flags, tablePath(name)), ({ parts, ...one }) =>
          [fields(sized(one)), '', table(parts.map(sized))].join('\n'),
        )
      }),
  )
  command.addCommand(
    asking('shard', 'make a table sharded, with its rows; it cannot be used meanwhile')
      .argument('<table>')
      .requiredOption('--key <column>', 'whose value says on which shard a row is')
      .option('--colocate-with <table>', 'rows of the same key go where this one has them')
      .action(async (name: string, { colocateWith, ...flags }: ShardFlags) => {
        const by = { key: flags.key, ...(colocateWith === undefined ? {} : { colocate_with: colocateWith }) }
        print(flags, await moving(flags, name, 'shard', by), (done) => done.what)
      }),
  )
  for (const [kind, description] of [
    ['reference', 'make a table a reference table: a copy of it on every shard'],
    ['local', 'bring all rows of a table to the home shard, as a plain table'],
  ] as const) {
    command.addCommand(
      asking(kind, description)
        .argument('<table>')
        .action(async (name: string, flags: ApiFlags) => {
          print(flags, await moving(flags, name, kind, {}), (done) => done.what)
        }),
    )
  }
  return command
}
