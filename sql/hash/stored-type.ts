import type { KeyType } from '../catalog.ts'

/** The type of a key column with its modifier, as SQL: what is stored is what must be hashed. */
export function storedType(type: KeyType, typmod: number | undefined): string {
  // Whatever they are called, and wherever they are: their texts are what is hashed.
  if (type === 'enum' || type === 'citext') return 'text'
  if (typmod === undefined || typmod < 0) return type
  switch (type) {
    case 'varchar':
    case 'bpchar':
      return `${type}(${typmod - 4})`
    case 'numeric':
      return `numeric(${((typmod - 4) >> 16) & 0xffff}, ${(((typmod - 4) & 0x7ff) ^ 1024) - 1024})`
    case 'timestamp':
    case 'timestamptz':
    case 'time':
    case 'timetz':
      return `${type}(${typmod})`
    default:
      return type
  }
}
