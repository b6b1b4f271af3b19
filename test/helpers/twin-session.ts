import {
  bind,
  COPY_DONE,
  copyData,
  describe,
  execute,
  parse,
  query,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { WireClient } from './wire-client.ts'
import type { BackendMessage } from './wire-decode.ts'
import type { Server } from './wire-script.ts'

/** One execution of a statement: which protocol, which formats. */
export interface Way {
  readonly name: string
  readonly protocol: 'simple' | 'extended'
  readonly binaryResults?: boolean
  readonly binaryParams?: boolean
  /** Types said in Parse, as far as the parameters have any. */
  readonly declared?: boolean
}

/** A parameter: its text (null for NULL) and, where it has one, its type's name. */
export interface Param {
  readonly text: string | null
  readonly type?: string
}

export interface Statement {
  readonly sql: string
  readonly params?: readonly Param[]
  /** What follows COPY … FROM STDIN. */
  readonly copyData?: Buffer
  /** The order of its rows is part of the answer. */
  readonly ordered?: boolean
}

/** What a server said to one statement, down to ReadyForQuery. */
export interface Answer {
  readonly lines: readonly string[]
  readonly sqlstate: string | undefined
  readonly message: string | undefined
  /** Of the refusal that it is. */
  readonly refusal: string | undefined
}

export type Verdict =
  | { readonly kind: 'same'; readonly answer: Answer }
  /** By Weft, with an id of the list of refusals. */
  | { readonly kind: 'refused'; readonly id: string; readonly message: string }
  | { readonly kind: 'different'; readonly plain: Answer; readonly weft: Answer }
  /** The parameters have no binary form. */
  | { readonly kind: 'skipped' }

/** Raises what Weft raised, so that a transaction is in the same state on both. */
const RAISE = query(`DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '0A000'; END $$`)

/** A session on Weft and one on plain Postgres that are told the same things. */
export class TwinSession {
  readonly weft: WireClient
  readonly plain: WireClient
  private readonly typeNames = new Map<string, { oid: number; send: string }>()
  /** By literal and type. */
  private readonly binaryForms = new Map<string, Buffer | undefined>()

  private constructor(weft: WireClient, plain: WireClient) {
    this.weft = weft
    this.plain = plain
  }

  static async open(
    servers: { readonly weft: Server; readonly plain: Server },
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<TwinSession> {
    const [weft, plain] = await Promise.all(
      [servers.weft, servers.plain].map(({ host, port }) => WireClient.connect({ host, port, parameters })),
    )
    return new TwinSession(weft!, plain!)
  }

  end(): void {
    this.weft.end()
    this.plain.end()
  }

  /** Runs it on Weft only; its error is thrown. */
  async onWeft(sql: string): Promise<Answer> {
    this.weft.write(query(sql))
    return succeeded(answerOf(await this.weft.until('ReadyForQuery'), {}), sql)
  }

  async onPlain(sql: string): Promise<Answer> {
    this.plain.write(query(sql))
    return succeeded(answerOf(await this.plain.until('ReadyForQuery'), {}), sql)
  }

  /** Runs it on both, unless Weft refuses: then plain Postgres is only told that there was an error. */
  async run(statement: Statement, way: Way): Promise<Verdict> {
    const messages = await this.messages(statement, way)
    if (messages === undefined) return { kind: 'skipped' }
    const weft = await ask(this.weft, messages, statement)
    if (weft.refusal !== undefined) {
      this.plain.write(RAISE)
      await this.plain.until('ReadyForQuery')
      return { kind: 'refused', id: weft.refusal, message: weft.message ?? '' }
    }
    const plain = await ask(this.plain, messages.map(onPlain), statement)
    const same = weft.lines.join('\n') === plain.lines.join('\n')
    return same ? { kind: 'same', answer: plain } : { kind: 'different', plain, weft }
  }

  private async messages(statement: Statement, way: Way): Promise<Message[] | undefined> {
    const { sql, params = [] } = statement
    if (way.protocol === 'simple') {
      const data = statement.copyData === undefined ? [] : [copyData(statement.copyData), COPY_DONE]
      return [{ sql, build: (text) => Buffer.concat([query(text), ...data]) }]
    }
    const types: number[] = []
    if (way.declared === true) for (const param of params) types.push(await this.oidOf(param.type))
    const values =
      way.binaryParams === true ? await this.encoded(statement, types) : params.map((p) => p.text)
    if (values === undefined) return undefined
    const bound = bind({
      params: values,
      paramFormats: way.binaryParams === true ? [1] : [],
      resultFormats: way.binaryResults === true ? [1] : [],
    })
    const tail = [describe('S', ''), bound, describe('P', ''), execute('', 0), SYNC]
    return [{ sql, build: (text) => Buffer.concat([parse('', text, types), ...tail]) }]
  }

  private async oidOf(type: string | undefined): Promise<number> {
    return type === undefined ? 0 : (await this.typeOf(type)).oid
  }

  private async typeOf(type: string): Promise<{ oid: number; send: string }> {
    const known = this.typeNames.get(type)
    if (known !== undefined) return known
    const sql = `SELECT oid::int, typsend::regproc FROM pg_type WHERE oid = '${type}'::regtype`
    const [oid, send] = rowOf(await this.onPlain(sql))
    const found = { oid: Number(oid), send: send! }
    this.typeNames.set(type, found)
    return found
  }

  /** Binary forms, as Postgres itself gives them; undeclared parameters have the type that Postgres infers. */
  private async encoded(
    statement: Statement,
    types: readonly number[],
  ): Promise<(Buffer | null)[] | undefined> {
    const params = statement.params ?? []
    const inferred =
      types.every((t) => t !== 0) && types.length > 0 ? types : await this.inferred(statement, types)
    const values: (Buffer | null)[] = []
    for (const [i, param] of params.entries()) {
      if (param.text === null) {
        values.push(null)
        continue
      }
      // Types of users have numbers of their own on each server: those are not told apart here.
      const oid = inferred[i] ?? 25
      if (Number.isNaN(oid)) return undefined
      const value = await this.binaryForm(param.text, oid)
      if (value === undefined) return undefined
      values.push(value)
    }
    return values
  }

  private async binaryForm(text: string, oid: number): Promise<Buffer | undefined> {
    const literal = `'${text.replaceAll("'", "''")}'`
    const key = `${oid} ${literal}`
    if (!this.binaryForms.has(key)) {
      const name = rowOf(await this.onPlain(`SELECT format_type(${oid}, NULL)`))[0]!
      const { send } = await this.typeOf(name)
      const hex = await this.onPlain(`SELECT encode(${send}(${literal}::${name}), 'hex')`).catch(
        () => undefined,
      )
      this.binaryForms.set(key, hex === undefined ? undefined : Buffer.from(rowOf(hex)[0]!, 'hex'))
    }
    return this.binaryForms.get(key)
  }

  private async inferred(statement: Statement, types: readonly number[]): Promise<number[]> {
    this.plain.write(Buffer.concat([parse('', statement.sql, types), describe('S', ''), SYNC]))
    const messages = await this.plain.until('ReadyForQuery')
    const description = messages.find((m) => m.name === 'ParameterDescription')
    return (description?.text.split(' ').slice(1) ?? []).map(Number)
  }
}

interface Message {
  readonly sql: string
  build(sql: string): Buffer
}

const onPlain = (message: Message): Message => ({ ...message, sql: withoutWeft(message.sql) })

/** CREATE TABLE … WITH (shard_key = …) as plain Postgres takes it. */
export function withoutWeft(sql: string): string {
  return sql.replace(/\s+WITH \(\s*(shard_key|reference|colocate_with)[^)]*\)/gi, '')
}

async function ask(client: WireClient, messages: readonly Message[], statement: Statement): Promise<Answer> {
  client.write(Buffer.concat(messages.map(({ sql, build }) => build(sql))))
  return answerOf(await client.until('ReadyForQuery', messages.length), statement)
}

function succeeded(answer: Answer, sql: string): Answer {
  if (answer.sqlstate !== undefined) throw new Error(`${sql}: ${answer.sqlstate} ${answer.message}`)
  return answer
}

/** Values of the only row. */
function rowOf(answer: Answer): string[] {
  const row = answer.lines.find((line) => line.startsWith('DataRow '))!
  return row
    .slice('DataRow '.length)
    .split(' | ')
    .map((value) => (value.startsWith('"') ? (JSON.parse(value) as string) : value))
}

function answerOf(messages: readonly BackendMessage[], { ordered }: { ordered?: boolean }): Answer {
  const lines: string[] = []
  let rows: string[] = []
  const statuses: string[] = []
  let sqlstate: string | undefined
  let message: string | undefined
  let refusal: string | undefined
  const flush = (): void => {
    // One by one: there may be more than a call takes arguments.
    for (const row of ordered === true ? rows : rows.sort()) lines.push(row)
    rows = []
  }
  for (const { name, text } of messages) {
    if (name === 'DataRow' || name === 'CopyData') {
      rows.push(text)
      continue
    }
    if (name === 'ParameterStatus') {
      statuses.push(text)
      continue
    }
    flush()
    if (name === 'ErrorResponse') {
      // How far a statement came before it failed is chance.
      lines.length = 0
      sqlstate = / C=(\w{5})/.exec(text)?.[1]
      message = / M=(.*?)(?= [DHPpqWstcdn]=|$)/s.exec(text)?.[1]
      refusal = / D=Refusal (\w+), see docs\/sql\.md\./.exec(text)?.[1]
      // A NULL shard key is refused by Weft, before a table is asked.
      lines.push(`ErrorResponse ${sqlstate} ${sqlstate === '23502' ? '' : message}`)
    } else if (name === 'NoticeResponse') {
      lines.push(text.replace(/ P=\d+/, ''))
    } else {
      lines.push(text)
    }
  }
  return { lines: [...statuses.sort(), ...lines], sqlstate, message, refusal }
}
