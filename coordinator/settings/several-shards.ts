import { isOff } from '../../sql/plan/utility/refuse-setting.ts'
import {
  PUSHDOWN,
  SCATTER,
  type Scatter,
  SEQUENCE_BLOCK,
  type SequenceBlock,
  SPREAD,
  type Spreading,
  scatterValue,
  sequenceBlock,
  spreadValue,
} from '../../sql/plan/utility/several-settings.ts'

export interface ValuesInForce {
  inForce(name: string): string | undefined
}

/** Whether shards may do more of a query's work than to give its rows. */
export function pushesDown(settings: ValuesInForce): boolean {
  const value = settings.inForce(PUSHDOWN)
  return value === undefined || !isOff(value)
}

/** How many values of a sequence may be drawn at a time. */
export function sequenceBlockOf(settings: ValuesInForce): SequenceBlock {
  return sequenceBlock(settings.inForce(SEQUENCE_BLOCK) ?? '') ?? 'auto'
}

/** What is to be done with a statement that goes to several shards. */
export function scatterOf(settings: ValuesInForce): Scatter {
  return scatterValue(settings.inForce(SCATTER) ?? '') ?? 'allow'
}

/** Where rows are given to all shards for joins off the key. */
export function spreadsOf(settings: ValuesInForce): Spreading {
  return spreadValue(settings.inForce(SPREAD) ?? '') ?? 'auto'
}
