/**
 * Encodings with several bytes to a character: how long a character is, and which bytes it may have, as Postgres' wchar.c
 * sees it. A second byte may be one that ASCII has, a quote or a backslash, so nothing else may look into such a text
 * before it is UTF8. PURE.
 */

export interface ByteRange {
  readonly from: number
  readonly to: number
}

/** One range for each byte of a character. */
export type Form = readonly ByteRange[]

export interface Structure {
  readonly forms: readonly Form[]
  /** How many bytes the character has that begins so, by the look of it; the second byte is 0 at the end of the text. */
  length(first: number, second: number): number
  /** Characters of this form stand for the code points from 0x10000 on, one after the other, `first` for that one. */
  readonly counted?: { readonly form: Form; readonly first: Buffer }
}

const range = (from: number, to: number): ByteRange => ({ from, to })

const EUC = range(0xa1, 0xfe)
const SS2 = range(0x8e, 0x8e)
const SS3 = range(0x8f, 0x8f)
const KANA = range(0xa1, 0xdf)

const eucLength = (first: number): number => (first === SS3.from ? 3 : 2)
const two = (): number => 2

const SJIS_TAILS = [range(0x40, 0x7e), range(0x80, 0xfc)]
const SJIS: Structure = {
  forms: [
    [KANA],
    ...[range(0x81, 0x9f), range(0xe0, 0xfc)].flatMap((head) => SJIS_TAILS.map((tail) => [head, tail])),
  ],
  length: (first) => (first >= KANA.from && first <= KANA.to ? 1 : 2),
}
const EUC_JP: Structure = {
  forms: [
    [EUC, EUC],
    [SS2, KANA],
    [SS3, EUC, EUC],
  ],
  length: eucLength,
}
const EUC_TWO: Form = [EUC, EUC]
/** Postgres takes any second byte but 0, and one pair that it keeps for what is never valid. */
const ANY_TAIL: Structure = {
  forms: [
    [range(0x80, 0x8c), range(0x01, 0xff)],
    [range(0x8d, 0x8d), range(0x01, 0x1f)],
    [range(0x8d, 0x8d), range(0x21, 0xff)],
    [range(0x8e, 0xff), range(0x01, 0xff)],
  ],
  length: two,
}
const GB_HEAD = range(0x81, 0xfe)
const GB_DIGIT = range(0x30, 0x39)

export const SEVERAL_BYTES: Readonly<Record<string, Structure>> = {
  SJIS,
  SHIFT_JIS_2004: SJIS,
  EUC_JP,
  EUC_JIS_2004: EUC_JP,
  EUC_KR: { forms: [EUC_TWO], length: eucLength },
  EUC_CN: { forms: [EUC_TWO], length: (first) => (first === SS2.from ? 3 : eucLength(first)) },
  EUC_TW: {
    forms: [
      [range(0x80, 0x8d), EUC],
      [range(0x90, 0xff), EUC],
      [SS2, range(0xa1, 0xa7), EUC, EUC],
    ],
    length: (first) => (first === SS2.from ? 4 : eucLength(first)),
  },
  JOHAB: {
    forms: [
      [range(0x80, 0x8e), EUC],
      [range(0x90, 0xff), EUC],
      [SS3, EUC, EUC],
    ],
    length: eucLength,
  },
  BIG5: ANY_TAIL,
  GBK: ANY_TAIL,
  UHC: ANY_TAIL,
  GB18030: {
    forms: [
      [GB_HEAD, range(0x40, 0x7e)],
      [GB_HEAD, range(0x80, 0xfe)],
      [range(0x81, 0x84), GB_DIGIT, GB_HEAD, GB_DIGIT],
    ],
    length: (_, second) => (second >= GB_DIGIT.from && second <= GB_DIGIT.to ? 4 : 2),
    counted: {
      form: [GB_HEAD, GB_DIGIT, GB_HEAD, GB_DIGIT],
      first: Buffer.from([0x90, 0x30, 0x81, 0x30]),
    },
  },
}

export const hasSeveralBytes = (name: string): boolean => Object.hasOwn(SEVERAL_BYTES, name)
