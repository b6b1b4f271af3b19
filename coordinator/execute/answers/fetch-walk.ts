import type { FetchStep } from '../../../sql/plan/plan.ts'

/** Where a cursor is, as Postgres keeps it: the number of the row it stands on, and whether it is before or behind all. */
export interface CursorPosition {
  row: number
  atStart: boolean
  atEnd: boolean
}

/** How rows are gone through. Both answer how many there were. */
export interface Rows {
  /** Up to `count` rows on. `speaks`: they are given to the client. */
  forward(count: number, speaks: boolean): Promise<number>
  backward(count: number, speaks: boolean): Promise<number>
  /** Back to where no row has been given yet. */
  rewind(): Promise<void>
}

/** FETCH (`speaks`) or MOVE, in steps as Postgres takes them (DoPortalRunFetch). Answers the count of its tag. */
export async function walk(
  position: CursorPosition,
  rows: Rows,
  { direction, count }: FetchStep,
  speaks: boolean,
): Promise<number> {
  const walker = new Walker(position, rows)
  switch (direction) {
    case 'forward':
      return count < 0 ? walker.back(-count, speaks) : walker.on(count, speaks)
    case 'backward':
      return count < 0 ? walker.on(-count, speaks) : walker.back(count, speaks)
    case 'relative':
      return walker.relative(count, speaks)
    case 'absolute':
      return walker.absolute(count, speaks)
  }
}

class Walker {
  private readonly position: CursorPosition
  private readonly rows: Rows

  constructor(position: CursorPosition, rows: Rows) {
    this.position = position
    this.rows = rows
  }

  on(count: number, speaks: boolean): Promise<number> {
    return count === 0 ? this.again(speaks) : this.forward(count, speaks)
  }

  back(count: number, speaks: boolean): Promise<number> {
    if (count === 0) return this.again(speaks)
    return count === Number.POSITIVE_INFINITY && !speaks ? this.toStart() : this.backward(count, speaks)
  }

  /** The row that it stands on. */
  private async again(speaks: boolean): Promise<number> {
    const { atStart, atEnd } = this.position
    const isOnRow = !atStart && !atEnd
    if (!speaks) return isOnRow ? 1 : 0
    if (isOnRow) await this.backward(1, false)
    return this.forward(isOnRow ? 1 : 0, true)
  }

  async relative(count: number, speaks: boolean): Promise<number> {
    if (count === 0) return this.again(speaks)
    const isOn = count > 0
    const between = Math.abs(count) - 1
    if (between > 0) await (isOn ? this.forward(between, false) : this.backward(between, false))
    return isOn ? this.forward(1, speaks) : this.backward(1, speaks)
  }

  async absolute(count: number, speaks: boolean): Promise<number> {
    if (count < 0) {
      await this.forward(Number.POSITIVE_INFINITY, false)
      if (count < -1) await this.backward(-count - 1, false)
      return this.backward(1, speaks)
    }
    if (count === 0) {
      await this.rewind()
      return this.forward(0, speaks)
    }
    await this.before(count)
    return this.forward(1, speaks)
  }

  /** To the row ahead of one, by the shorter way. */
  private async before(count: number): Promise<void> {
    const { row, atEnd } = this.position
    if (count - 1 <= row / 2) {
      await this.rewind()
      if (count > 1) await this.forward(count - 1, false)
      return
    }
    const at = atEnd ? row + 1 : row
    if (count <= at) await this.backward(at - count + 1, false)
    else if (count > at + 1) await this.forward(count - at - 1, false)
  }

  private async toStart(): Promise<number> {
    const { row, atEnd } = this.position
    await this.rewind()
    return row > 0 && !atEnd ? row - 1 : row
  }

  private async forward(count: number, speaks: boolean): Promise<number> {
    const { position } = this
    const found = await this.rows.forward(count, speaks)
    if (position.atEnd || count === 0) return 0
    passed(position, found, count)
    return found
  }

  private async backward(count: number, speaks: boolean): Promise<number> {
    const { position } = this
    const found = await this.rows.backward(count, speaks)
    if (position.atStart) return 0
    if (found > 0 && position.atEnd) {
      position.atEnd = false
      position.row++
    }
    position.atStart = found < count
    position.row = position.atStart ? 0 : position.row - found
    return found
  }

  private async rewind(): Promise<void> {
    const { position } = this
    if (position.atStart && !position.atEnd) return
    await this.rows.rewind()
    Object.assign(position, STARTING)
  }
}

export const STARTING: CursorPosition = { row: 0, atStart: true, atEnd: false }

/** `found` rows of those that were asked for have been given, forward. */
export function passed(position: CursorPosition, found: number, asked: number): void {
  if (found > 0) position.atStart = false
  if (found < asked) position.atEnd = true
  position.row += found
}
