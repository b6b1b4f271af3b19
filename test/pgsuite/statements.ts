/** The statements of a file for psql that stand for themselves: none with psql's variables or commands, no COPY with data. */
export function statementsOf(file: string): string[] {
  const statements: string[] = []
  let at = 0
  let start = 0
  while (at < file.length) {
    const isLineStart = at === 0 || file[at - 1] === '\n'
    if (file[at] === ';') {
      statements.push(file.slice(start, at))
      at += 1
      start = at
      if (isCopyWithData(statements.at(-1)!)) start = at = afterData(file, at)
    } else if (isLineStart && file[at] === '\\') {
      const isAlone = file.slice(start, at).trim() === ''
      at = lineEnd(file, at)
      if (isAlone) start = at
    } else {
      at = tokenEnd(file, at)
    }
  }
  return statements.map(withoutComments).filter((text) => text !== '' && isOfItself(text))
}

const lineEnd = (file: string, at: number): number => indexAfter(file, '\n', at)

function indexAfter(file: string, end: string, from: number): number {
  const found = file.indexOf(end, from)
  return found < 0 ? file.length : found + end.length
}

/** Past a string, a comment, a quoted name; else the next character. */
function tokenEnd(file: string, at: number): number {
  if (file.startsWith('--', at)) return Math.max(at + 2, lineEnd(file, at) - 1)
  if (file.startsWith('/*', at)) return indexAfter(file, '*/', at + 2)
  const isEscaped = file[at] === "'" && /[eE]/.test(file[at - 1] ?? '') && !/\w/.test(file[at - 2] ?? '')
  if (isEscaped) return at + 1 + (/^(?:[^'\\]|\\.|'')*'/s.exec(file.slice(at + 1))?.[0].length ?? file.length)
  if (file[at] === "'" || file[at] === '"') return indexAfter(file, file[at]!, at + 1)
  const dollar = /^\$(?:[A-Za-z_]\w*)?\$/.exec(file.slice(at, at + 64))?.[0]
  return dollar === undefined ? at + 1 : indexAfter(file, dollar, at + dollar.length)
}

const isCopyWithData = (text: string): boolean =>
  /^\s*(?:--[^\n]*\n\s*)*copy\b[\s\S]*\bfrom\s+stdin\b/i.test(text)

function afterData(file: string, at: number): number {
  return indexAfter(file, '\n\\.\n', at)
}

const withoutComments = (text: string): string =>
  text.replace(/^(?:\s+|--[^\n]*\n?|\/\*[\s\S]*?\*\/)+/, '').trim()

const isOfItself = (text: string): boolean =>
  !/\\\w|(?<!:):['"]|(?<![:\w]):[a-z_]\w*/.test(text.replace(/'(?:[^']|'')*'/g, "''")) &&
  !isCopyWithData(text)
