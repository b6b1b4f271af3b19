/** Names of the encodings that Postgres knows, as a client may write them (pg_char_to_encoding). PURE. */

const SAME =
  `LATIN1 LATIN2 LATIN3 LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 ISO_8859_5 ISO_8859_6 ISO_8859_7 ISO_8859_8
  WIN1250 WIN1251 WIN1252 WIN1253 WIN1254 WIN1255 WIN1256 WIN1257 WIN1258 WIN866 WIN874 KOI8R KOI8U UTF8 SQL_ASCII EUC_JP EUC_CN
  EUC_KR EUC_TW EUC_JIS_2004 SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004 MULE_INTERNAL`
    .trim()
    .split(/\s+/)

const ALIASES: Readonly<Record<string, string>> = {
  ...{ abc: 'WIN1258', tcvn: 'WIN1258', tcvn5712: 'WIN1258', vscii: 'WIN1258' },
  ...{ alt: 'WIN866', koi8: 'KOI8R', win: 'WIN1251', unicode: 'UTF8' },
  ...{ iso88591: 'LATIN1', iso88592: 'LATIN2', iso88593: 'LATIN3', iso88594: 'LATIN4', iso88599: 'LATIN5' },
  ...{ iso885910: 'LATIN6', iso885913: 'LATIN7', iso885914: 'LATIN8', iso885915: 'LATIN9' },
  ...{ iso885916: 'LATIN10', mskanji: 'SJIS', shiftjis: 'SJIS', win932: 'SJIS', win936: 'GBK' },
  ...{ win949: 'UHC', win950: 'BIG5' },
}

const plain = (name: string): string => name.replace(/[^A-Za-z0-9]/g, '').toLowerCase()

const NAMES: ReadonlyMap<string, string> = new Map([
  ...SAME.map((name): [string, string] => [plain(name), name]),
  ...Object.entries(ALIASES),
])

/** The encoding's own name (`iso-8859-1` → `LATIN1`); undefined when Postgres knows none of that name. */
export function encodingName(written: string): string | undefined {
  const key = plain(written)
  return NAMES.get(key) ?? NAMES.get(key.replace(/^windows/, 'win'))
}
