import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

export interface Column<R> {
  readonly label: string
  /** Numbers stand to the right, in figures of one width. */
  readonly isNumber?: boolean
  readonly show: (row: R) => ComponentChildren
  /** What it is sorted by; absent: it is not. */
  readonly by?: (row: R) => number | string | null
}

export interface DataTableProps<R> {
  /** What is listed. */
  readonly label: string
  readonly rows: readonly R[] | undefined
  readonly columns: readonly Column<R>[]
  readonly keyOf: (row: R) => string | number
  /** In place of rows, when there are none. */
  readonly empty: string
  readonly sorted?: { readonly column: number; readonly isDown: boolean }
  readonly classOf?: (row: R) => string
}

const SHOWN_MAX = 500

/** A table that can be sorted, and scrolled by keyboard. */
export function DataTable<R>(props: DataTableProps<R>) {
  const { label, rows, columns, keyOf, empty, classOf } = props
  const [sort, setSort] = useState(props.sorted)
  const by = sort === undefined ? undefined : columns[sort.column]?.by
  const all = rows === undefined || by === undefined ? rows : sortedBy(rows, by, sort?.isDown === true)
  if (all?.length === 0) return <p class="empty">{empty}</p>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <section class="scrolls" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column, i) => (
              <Head
                key={column.label}
                column={column}
                sort={sort?.column === i ? sort : undefined}
                onSort={() =>
                  setSort({ column: i, isDown: sort?.column === i ? !sort.isDown : column.isNumber === true })
                }
              />
            ))}
          </tr>
        </thead>
        <tbody>
          {all?.slice(0, SHOWN_MAX).map((row) => (
            <tr key={keyOf(row)} class={classOf?.(row) ?? ''}>
              {columns.map(({ label: name, isNumber, show }) => (
                <td key={name} class={isNumber === true ? 'number' : ''} data-label={name}>
                  {show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {all === undefined && <p class="empty">Asking…</p>}
      {all !== undefined && all.length > SHOWN_MAX && (
        <p class="empty">
          {SHOWN_MAX} of {all.length} are shown.
        </p>
      )}
    </section>
  )
}

interface HeadProps<R> {
  readonly column: Column<R>
  readonly sort: { readonly isDown: boolean } | undefined
  readonly onSort: () => void
}

function Head<R>({ column: { label, isNumber, by }, sort, onSort }: HeadProps<R>) {
  const aligned = isNumber === true ? 'number' : ''
  if (by === undefined) return <th class={aligned}>{label}</th>
  const direction = sort === undefined ? 'none' : sort.isDown ? 'descending' : 'ascending'
  return (
    <th class={aligned} aria-sort={direction}>
      <button type="button" class="sort" onClick={onSort}>
        {label}
        <span aria-hidden="true">{sort === undefined ? '' : sort.isDown ? ' ↓' : ' ↑'}</span>
      </button>
    </th>
  )
}

function sortedBy<R>(
  rows: readonly R[],
  by: (row: R) => number | string | null,
  isDown: boolean,
): readonly R[] {
  const sign = isDown ? -1 : 1
  return rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)]
    // What is not known comes last, either way.
    if (x === null || y === null) return Number(x === null) - Number(y === null)
    return x === y ? 0 : sign * (x < y ? -1 : 1)
  })
}
