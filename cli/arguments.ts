import { InvalidArgumentError } from 'commander'

/** Parsers for flags; commander prints what they throw, with the name of the flag. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It is a number from ${min} to ${max}.`)
  }
}

export const port = integer(0, 65_535)

/** For a flag that may be given several times. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value]
}
