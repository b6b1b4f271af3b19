import type { Column } from '../../catalog.ts'
import { castType } from '../cast-type.ts'
import type { Transport } from './transport.ts'

/**
 * The columns in which the rows of several inputs come, one after the other, in one answer: inputs share those of their
 * types, so that there are no more of them than the widest needs of each.
 */
export class Slots {
  readonly types: string[] = []
  /** The input's columns, from left to right. */
  readonly ofInputs: readonly (readonly number[])[]
  private readonly formats: number[] = []

  constructor(inputs: readonly (readonly Column[])[], transports: readonly (readonly Transport[])[]) {
    this.ofInputs = inputs.map((columns, i) => this.place(columns, transports[i]!))
  }

  private place(columns: readonly Column[], transports: readonly Transport[]): number[] {
    let next = 0
    return columns.map(({ type }, i) => {
      const slot = this.slotOf(castType(type), transports[i]!.format, next)
      next = slot + 1
      return slot
    })
  }

  private slotOf(type: string, format: number, from: number): number {
    for (let slot = from; slot < this.types.length; slot++)
      if (this.types[slot] === type && this.formats[slot] === format) return slot
    this.formats.push(format)
    return this.types.push(type) - 1
  }
}
