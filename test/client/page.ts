/** The code of docs/client.md. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../architecture/sources.ts'

/** A block, and what stands behind its opening fence. */
export interface Block {
  readonly info: string
  readonly text: string
}

/** What blocks are for: a part of the program, that needs Weft perhaps; a file; the table of sagas. */
export const programBlocks = ['ts', 'ts through weft']

export function pageBlocks(): Block[] {
  const page = readFileSync(join(root, 'docs/client.md'), 'utf8')
  return [...page.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm)].map(([, info, text]) => ({
    info: info!,
    text: text!,
  }))
}

/** The files that the page shows, by name. */
export function pageFiles(): Map<string, string> {
  return new Map(
    pageBlocks().flatMap(({ info, text }) => {
      const name = /^ts (\S+\.ts)$/.exec(info)?.[1]
      return name === undefined ? [] : [[name, text]]
    }),
  )
}
