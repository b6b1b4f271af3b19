/** COPY … FROM stdin as dumps and scripts of psql have it: the lines behind it are data, up to one that says so. PURE. */
const FROM_STDIN = /^copy\s(?:[^;'"]|"[^"]*"){0,4000}?\sfrom\s+stdin\b(?:[^;'\n]|'[^']*')*;[^\S\n]*\n/gim
const END = /^\\\.\r?$/gm

/** The text with lines that are empty where there were such data; without their end they are none. */
export function withoutCopied(text: string): string {
  const kept: string[] = []
  let at = 0
  for (;;) {
    FROM_STDIN.lastIndex = at
    const copy = FROM_STDIN.exec(text)
    END.lastIndex = FROM_STDIN.lastIndex
    const end = copy && END.exec(text)
    if (copy === null || end === null) return kept.join('') + text.slice(at)
    const data = copy.index + copy[0].length
    kept.push(text.slice(at, data), '\n'.repeat(linesIn(text.slice(data, end.index))))
    at = end.index + end[0].length
  }
}

const linesIn = (text: string): number => text.split('\n').length - 1
