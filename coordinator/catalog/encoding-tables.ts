/**
 * Postgres' own tables of characters: the home server is asked for them, once for each encoding that a client of this node
 * wants. Its answers are those that clients of it would get, whatever version it has.
 */
import { clientEncoding } from '../settings/client-encoding.ts'
import { type ByteRange, type Form, hasSeveralBytes, SEVERAL_BYTES } from '../settings/several-bytes.ts'
import { PAIR, pairOf, SeveralBytes } from '../settings/several-bytes-encoding.ts'
import type { TextEncoding } from '../settings/text-encoding.ts'
import type { InternalConnection } from './internal-connection.ts'

const TABLE = 'weft.encoding'
const BMP_LAST = 0xffff
const UNKNOWN = 'WHEN untranslatable_character OR character_not_in_repertoire THEN NULL;'

/** What clients' texts are converted with. */
export class Encodings {
  private readonly connect: () => InternalConnection
  private readonly known = new Map<string, SeveralBytes>()
  private readonly loading = new Map<string, Promise<void>>()

  /** `connect`: to the home shard. */
  constructor(connect: () => InternalConnection) {
    this.connect = connect
  }

  /** By Postgres' own name; undefined for those that need no conversion. One of several bytes has to be loaded before. */
  find(name: string | undefined): TextEncoding | undefined {
    if (name === undefined) return undefined
    return clientEncoding(name) ?? this.known.get(name)
  }

  async load(name: string | undefined): Promise<void> {
    if (name === undefined || !hasSeveralBytes(name) || this.known.has(name)) return
    const loading = this.loading.get(name) ?? this.ask(name).finally(() => this.loading.delete(name))
    this.loading.set(name, loading)
    await loading
  }

  private async ask(name: string): Promise<void> {
    // One of its own: nobody's login waits for it.
    const connection = this.connect()
    try {
      const decoded = await connection.query(askSql(decodeSql(name)))
      const toUnicode = decodedIn(decoded.rows[0]?.[0] ?? '')
      const encoded = await connection.query(askSql(encodeSql(name, toUnicode)))
      const fromUnicode = encodedIn(encoded.rows[0]?.[0] ?? '')
      this.known.set(name, new SeveralBytes(name, { toUnicode, fromUnicode }))
    } finally {
      connection.close()
    }
  }
}

/** Only a block may try and fail, and it answers nothing: a setting of the transaction's carries what it found. */
const askSql = (block: string): string => `${block};\nSELECT pg_catalog.current_setting('${TABLE}')`

/** All characters of the encoding that UTF8 has: their bytes and UTF8's, in hexadecimal. */
function decodeSql(name: string): string {
  const loops = SEVERAL_BYTES[name]!.forms.map((form) => {
    const { from, to } = form.at(-1)!
    return `FOREACH ahead IN ARRAY '{${headsOf(form)
      .map((head) => `"${head}"`)
      .join(',')}}'::pg_catalog.text[] LOOP
      part := '';
      FOR n IN ${from}..${to} LOOP
        BEGIN
          code := ahead || pg_catalog.lpad(pg_catalog.to_hex(n), 2, '0');
          said := pg_catalog.convert_to(pg_catalog.convert_from(pg_catalog.decode(code, 'hex'), '${name}'), 'UTF8');
          part := part || code || ':' || pg_catalog.encode(said, 'hex') || ' ';
        EXCEPTION ${UNKNOWN} END;
      END LOOP;
      parts := pg_catalog.array_append(parts, part);
    END LOOP;`
  })
  return blockSql(loops.join('\n'))
}

/**
 * All code points that the encoding has: their numbers and its bytes, in hexadecimal. Of those from 0x10000 on the ones that
 * its characters have become: there are no others.
 */
function encodeSql(name: string, toUnicode: ReadonlyMap<number, number>): string {
  const far = [...new Set(toUnicode.values())].filter((codePoint) => codePoint > BMP_LAST && codePoint < PAIR)
  return blockSql(`FOR n IN SELECT pg_catalog.generate_series(128, ${BMP_LAST})
        UNION ALL SELECT pg_catalog.unnest('{${far.join(',')}}'::pg_catalog.int4[]) LOOP
      CONTINUE WHEN n BETWEEN 55296 AND 57343;
      BEGIN
        said := pg_catalog.convert_to(pg_catalog.chr(n), '${name}');
        part := part || pg_catalog.to_hex(n) || ':' || pg_catalog.encode(said, 'hex') || ' ';
      EXCEPTION ${UNKNOWN} END;
      IF n % 256 = 255 OR n > ${BMP_LAST} THEN
        parts := pg_catalog.array_append(parts, part);
        part := '';
      END IF;
    END LOOP;`)
}

function blockSql(loops: string): string {
  return `DO $weft$
  DECLARE
    parts pg_catalog.text[] := '{}';
    part pg_catalog.text := '';
    ahead pg_catalog.text;
    code pg_catalog.text;
    said pg_catalog.bytea;
    n pg_catalog.int4;
  BEGIN
    ${loops}
    PERFORM pg_catalog.set_config('${TABLE}', pg_catalog.array_to_string(parts, ''), true);
  END $weft$`
}

/** What may stand ahead of the last byte of a form, in hexadecimal. */
function headsOf(form: Form): readonly string[] {
  return form
    .slice(0, -1)
    .reduce<string[]>((heads, bytes) => heads.flatMap((head) => withEach(head, bytes)), [''])
}

function withEach(head: string, { from, to }: ByteRange): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => head + (from + i).toString(16))
}

function decodedIn(table: string): ReadonlyMap<number, number> {
  const codePoints = (utf8: string) =>
    [...Buffer.from(utf8, 'hex').toString('utf8')].map((c) => c.codePointAt(0)!)
  return new Map(
    entriesIn(table).map(([code, utf8]) => {
      const [first, second] = codePoints(utf8)
      return [Number.parseInt(code, 16), second === undefined ? first! : pairOf(first!, second)]
    }),
  )
}

function encodedIn(table: string): ReadonlyMap<number, number> {
  return new Map(
    entriesIn(table).map(([codePoint, code]) => [Number.parseInt(codePoint, 16), Number.parseInt(code, 16)]),
  )
}

function entriesIn(table: string): [string, string][] {
  return table.split(' ').flatMap((entry) => {
    const colon = entry.indexOf(':')
    return colon < 0 ? [] : [[entry.slice(0, colon), entry.slice(colon + 1)]]
  })
}
