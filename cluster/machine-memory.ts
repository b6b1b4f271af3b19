import { totalmem } from 'node:os'

/** Of the container, where it has a limit, else of the machine. */
export function memoryOfMachine(): number {
  // Without a limit it says 0, or more than there can be.
  const constrained = process.constrainedMemory() ?? 0
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}
