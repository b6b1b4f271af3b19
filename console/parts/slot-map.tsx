import type { Shard } from '../../admin/api/schemas.ts'
import { MAP_COLUMNS, MAP_LINES, runsOf, SLOTS } from '../model/slots.ts'

export interface SlotMapProps {
  readonly shards: readonly Shard[]
  /** Whose slots stand out; undefined: nobody's. */
  readonly chosen: number | undefined
  readonly onChoose: (shard: number | undefined) => void
}

/** One cell for each slot, from left to right and down, in the tint of the shard that owns it. */
export function SlotMap({ shards, chosen, onChoose }: SlotMapProps) {
  const tint = (shard: number): number =>
    shards.length < 2 ? 0.6 : 0.2 + (0.7 * shard) / (shards.length - 1)
  return (
    <figure class="slots">
      <svg
        viewBox={`0 0 ${MAP_COLUMNS} ${MAP_LINES}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${SLOTS} slots: ${shards.map(({ shard, slots }) => `${slots} on shard ${shard}`).join(', ')}`}
      >
        {runsOf(shards).map(({ line, column, length, shard }) => (
          <rect
            key={`${line}.${column}`}
            class="slot"
            x={column}
            y={line}
            width={length}
            height={1}
            fill-opacity={chosen === undefined || chosen === shard ? tint(shard) : 0.06}
          >
            <title>
              Shard {shard}, slots {line * MAP_COLUMNS + column} to {line * MAP_COLUMNS + column + length - 1}
            </title>
          </rect>
        ))}
      </svg>
      <figcaption>
        {shards.map(({ shard, slots }) => (
          <button
            type="button"
            key={shard}
            class="key"
            aria-pressed={chosen === shard}
            onClick={() => onChoose(chosen === shard ? undefined : shard)}
          >
            <svg viewBox="0 0 1 1" aria-hidden="true">
              <rect class="slot" width="1" height="1" fill-opacity={tint(shard)} />
            </svg>
            shard {shard}: {slots} slots
          </button>
        ))}
      </figcaption>
    </figure>
  )
}
