import type { ChildInsert, FamilyRead } from '../check/ops.ts'
import type { OpValue } from '../history/op.ts'
import { Declined, type Session } from '../run/session.ts'
import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const RECENT = 12

/** Children of all shards refer to parents that each shard has a copy of; no child may outlive its parent. */
export function foreignKeysWorkload(options: WorkloadOptions): Workload {
  const reference = options.isWeft ? 'WITH (reference = true)' : ''
  const parents: number[] = []
  const children: number[] = []
  let next = 0
  return {
    tables: [
      `CREATE TABLE parent (id int PRIMARY KEY) ${reference}`,
      `CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent) ${spread(options, 'id')}`,
    ],
    next: ({ random }): Task => {
      const draw = random.next()
      const parent = parents.at(-1 - random.below(RECENT))
      const child = children.at(-1 - random.below(RECENT))
      if (draw < 0.15) return { f: 'read', value: null }
      if (draw < 0.3 && parent !== undefined) return { f: 'delete-parent', value: parent }
      if (draw < 0.5 && child !== undefined) return { f: 'delete-child', value: child }
      if (draw < 0.8 && parent !== undefined) return { f: 'insert-child', value: [next++, parent] }
      return { f: 'insert-parent', value: next++ }
    },
    perform,
    heard: ({ type, f, value }) => {
      if (type !== 'ok') return
      if (f === 'insert-parent') parents.push(value as number)
      if (f === 'insert-child') children.push((value as unknown as ChildInsert)[0])
      const gone = { 'delete-parent': parents, 'delete-child': children }[f]
      gone?.splice(gone.indexOf(value as number), 1)
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}

const statements: Readonly<Record<string, string>> = {
  'insert-parent': 'INSERT INTO parent VALUES ($1) RETURNING id',
  'insert-child': 'INSERT INTO child VALUES ($1, $2) RETURNING id',
  'delete-parent': 'DELETE FROM parent WHERE id = $1 RETURNING id',
  'delete-child': 'DELETE FROM child WHERE id = $1 RETURNING id',
}

async function perform(session: Session, { f, value }: Task): Promise<OpValue> {
  if (f === 'read') {
    const read = await session.transaction('BEGIN ISOLATION LEVEL REPEATABLE READ', () => readFamily(session))
    return read as unknown as OpValue
  }
  const rows = await session.write(statements[f] ?? '', Array.isArray(value) ? value : [value])
  if (rows.length === 0) throw new Declined('it is not there')
  return value
}

async function readFamily(session: Session): Promise<FamilyRead> {
  const children = await session.read<{ id: number; parent: number }>('SELECT id, parent FROM child')
  const parents = await session.read<{ id: number }>('SELECT id FROM parent')
  return {
    parents: parents.map(({ id }) => id),
    children: children.map(({ id, parent }): ChildInsert => [id, parent]),
  }
}
