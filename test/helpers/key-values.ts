import type { KeyType } from '../../sql/catalog.ts'

export type Random = (below: number) => number

/** Mulberry32: the same numbers for the same seed, everywhere. */
export function randomSource(seed: number): Random {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const COUNT = 2000

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}

function digits(random: Random, count: number): string {
  return times(count, () => String(random(10))).join('')
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!
}

/** Texts for a type's input function: ordinary ones, edges, odd forms, and some that it refuses. */
export function keyTexts(keyType: KeyType, random: Random): string[] {
  switch (keyType) {
    case 'int2':
      return [...INTEGERS, ...times(COUNT, () => integerText(random, 4))]
    case 'int4':
      return [...INTEGERS, ...times(COUNT, () => integerText(random, 9))]
    case 'int8':
      return [...INTEGERS, ...times(COUNT, () => integerText(random, 18))]
    case 'text':
    case 'varchar':
      return ['', ' ', 'a ', ' a', 'NULL', '\\N', ...times(COUNT, () => stringText(random))]
    case 'uuid':
      return [...UUIDS, ...times(COUNT, () => uuidText(random))]
    case 'date':
      return [...DATES, ...times(COUNT, () => dateText(random, 6))]
    case 'timestamp':
      return [...DATES, ...TIMES, ...times(COUNT, () => `${timestampText(random, '')}`)]
    case 'timestamptz':
      return [...DATES, ...TIMES, ...times(COUNT, () => timestampText(random, offsetText(random)))]
    case 'bool':
      return BOOLS
    case 'numeric':
      return [...NUMERICS, ...INTEGERS, ...times(COUNT, () => numericText(random))]
    case 'bytea':
      return [...BYTEAS, ...times(COUNT, () => byteaText(random))]
    case 'bpchar':
    case 'citext':
      return ['', ' ', 'a  ', ' a', 'I', 'ABC', 'Straße', ...times(COUNT, () => stringText(random))]
    case 'name':
      return ['', 'a '.repeat(40), 'é'.repeat(32), ...times(COUNT, () => stringText(random))]
    case 'enum':
      return ENUM_LABELS
    case 'oid':
      return [...INTEGERS, '010', '-1', ...times(COUNT, () => integerText(random, 9))]
    case 'float4':
    case 'float8':
      return [...FLOATS, ...NUMERICS, ...INTEGERS, ...times(COUNT, () => numericText(random))]
    case 'time':
      return [...CLOCKS, ...times(COUNT, () => clockText(random))]
    case 'timetz':
      return [...CLOCKS, ...times(COUNT, () => clockText(random) + offsetText(random))]
    case 'inet':
    case 'cidr':
      return [...INETS, ...times(COUNT, () => inetText(random))]
    case 'macaddr':
    case 'macaddr8':
      return [...MACS, ...times(COUNT, () => macText(random, keyType === 'macaddr' ? 6 : 8))]
  }
}

const EDGES = [
  '0',
  '1',
  '9',
  '99',
  '127',
  '32767',
  '32768',
  '65535',
  '65536',
  '99999999',
  '999999999',
  '1000000000',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '4294967297',
  '9007199254740991',
  '9007199254740993',
  '999999999999999999',
  '9223372036854775807',
  '9223372036854775808',
  '9223372036854775809',
  '9999999999999999999',
  '18446744073709551616',
  '99999999999999999999999999',
]

const INTEGERS = [
  ...EDGES,
  ...EDGES.map((e) => `-${e}`),
  ...[' 12 ', '\t-7\n', '+5', '-0', '007', '-000032768', '00000000000000000000000000001', '\v3\f'],
  ...['', ' ', '-', '+', '- 1', '--1', '1 2', '1.0', '1e2', '0x1F', '0o17', '0b1', '1_000', '_1', 'x', '１'],
]

function integerText(random: Random, digitsMax: number): string {
  const sign = pick(random, ['', '', '-', '+'])
  return sign + digits(random, 1 + random(digitsMax))
}

const CHARACTERS = ['a', 'Z', '0', ' ', "'", '\\', '\n', 'é', 'ß', '€', '漢', '😀', '%', '\u0301']

function stringText(random: Random): string {
  return times(random(pick(random, [14, 14, 40, 101])), () => pick(random, CHARACTERS)).join('')
}

const UUIDS = [
  '00000000-0000-0000-0000-000000000000',
  'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
  'a0eebc999c0b4ef8bb6d6bb9bd380a11',
  'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g',
  'a0eebc999c0b-4ef8-bb6d-6bb9bd380a11--',
  ' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
]

function uuidText(random: Random): string {
  const hex = times(32, () => random(16).toString(16)).join('')
  const text = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return random(4) === 0 ? text.toUpperCase() : text
}

const DATES = [
  '2000-01-01',
  '1999-12-31',
  '1970-01-01',
  '2024-02-29',
  '1900-02-28',
  '1900-02-29',
  '2023-02-29',
  '2023-02-30',
  '2023-13-01',
  '2023-00-10',
  '2023-01-00',
  '2023-04-31',
  '0001-01-01',
  '0000-01-01',
  '0001-12-31 BC',
  '0001-02-29 BC',
  '0004-02-29 BC',
  '0005-02-29 BC',
  '0044-03-15 BC',
  '4713-11-24 BC',
  '4713-11-23 BC',
  '4714-11-24 BC',
  '4714-11-23 BC',
  '9999-12-31',
  '10000-01-01',
  '99999-12-31',
  '294276-12-31',
  '294277-01-01',
  '5874897-12-31',
  '5874898-01-01',
  'infinity',
  '-infinity',
  'Infinity',
  'epoch',
  'January 8, 1999',
  '1/8/1999',
  '01-02-03',
  '99-01-02',
  '20200102',
  '2020.123',
  'J2451187',
  '2020-1-2',
  '2020-01-02 ',
  ' 2020-01-02',
  '2020-01-02 AD',
  '2020-Jan-02',
  '',
  'x',
]

function dateText(random: Random, yearDigits: number): string {
  const year = digits(random, pick(random, [4, 4, 4, 4, 4, yearDigits])).padStart(4, '0')
  const date = `${year}-${two(1 + random(12))}-${two(1 + random(random(20) === 0 ? 31 : 28))}`
  return random(6) === 0 && year < '4000' && year.length === 4 ? `${date} BC` : date
}

const TIMES = [
  '2020-01-02 03:04:05',
  '2020-01-02 03:04:05+00',
  '2020-01-02 03:04:05-00',
  '2020-01-02 03:04',
  '2020-01-02T03:04',
  '2020-01-02T03:04:05.123456Z',
  '2020-01-02T03:04:05z',
  '2020-01-02T03:04:05.1234567Z',
  '2020-01-02 24:00:00',
  '2020-01-02 24:00:00+00',
  '2020-01-02 23:59:60',
  '2020-01-02 23:59:59.999999+15:59:59',
  '2020-01-02 23:59:59.999999-15:59:59',
  '2020-01-02 00:00:00+16',
  '2020-01-02 00:00:00+15:60',
  '2020-01-02 25:00:00',
  '2020-01-02 00:60:00',
  '2020-01-02 03:04:05 +00',
  '2020-01-02 03:04:05 UTC',
  '2020-01-02 03:04:05 Europe/Berlin',
  '2020-01-02 03:04:05 PM',
  '2020-01-02 03:04:05+0130',
  '2020-01-02 030405',
  '2020-01-02Z',
  '2020-01-02+01',
  '4714-11-24 00:00:00 BC',
  '4714-11-23 23:59:59 BC',
  '4713-01-01 00:00:00+00 BC',
  '294276-12-31 23:59:59.999999',
  '294276-12-31 23:59:59.999999+00',
  '12345-06-07T08:09:10+01',
]

function timestampText(random: Random, offset: string): string {
  const date = dateText(random, 5)
  const seconds = `${two(random(24))}:${two(random(60))}:${two(random(60))}`
  const time = random(2) === 0 ? seconds : `${seconds}.${digits(random, 1 + random(6))}`
  const between = random(3) === 0 ? 'T' : ' '
  const bc = date.endsWith(' BC')
  return `${bc ? date.slice(0, -3) : date}${between}${time}${offset}${bc ? ' BC' : ''}`
}

function offsetText(random: Random): string {
  const sign = pick(random, ['+', '-'])
  const hours = two(random(16))
  return pick(random, ['Z', '+00', `${sign}${hours}`, `${sign}${hours}:30`, `${sign}${hours}:05:59`, ''])
}

const BOOLS = [
  ...[
    't',
    'tr',
    'tru',
    'true',
    'TRUE',
    'f',
    'fa',
    'fal',
    'fals',
    'false',
    'y',
    'ye',
    'yes',
    'n',
    'no',
    'on',
    'of',
  ],
  ...[
    'off',
    '1',
    '0',
    ' true ',
    '\tF\n',
    'o',
    '',
    ' ',
    '2',
    '01',
    'truee',
    'nope',
    'oof',
    'onn',
    'T',
    'Yes',
    'OFF',
  ],
]

const NUMERICS = [
  ...[
    '0.0',
    '0.000',
    '-0.00',
    '.0',
    '0.',
    '1.',
    '.5',
    '-.5',
    '+.5',
    '1.10',
    '1.1',
    '1.100000000000',
    '00012.3400',
  ],
  ...[
    '1e10',
    '1E-10',
    '1e+5',
    '12345e-3',
    '10000',
    '100000000',
    '0.0001',
    '0.00001',
    '0.00010001',
    '9999.9999',
  ],
  ...['1e100', '1e-100', '1e400', '1e-400', '123456789012345678901234567890.123456789012345678901234567890'],
  ...[
    'NaN',
    'nan',
    'Infinity',
    '-Infinity',
    'inf',
    '-inf',
    '+inf',
    '+NaN',
    ' 1.5 ',
    ' NaN ',
    '1e1000',
    '5e-1000',
  ],
  ...[
    '',
    ' ',
    '.',
    '-',
    'e5',
    '1e',
    '1e+',
    '1.2.3',
    '1,5',
    '0x1F',
    '1_0',
    '1e5_0',
    'x',
    '1 2',
    '--1',
    'infinit',
    '1e9999',
  ],
]

function numericText(random: Random): string {
  const sign = pick(random, ['', '', '-'])
  const zeros = '0'.repeat(pick(random, [0, 0, 1, 3, 4, 9]))
  const whole = digits(random, 1 + random(pick(random, [5, 12, 40])))
  const fraction = random(2) === 0 ? '' : `.${zeros}${digits(random, random(pick(random, [3, 12, 40])))}`
  const exponent = random(5) === 0 ? `e${pick(random, ['', '-', '+'])}${random(30)}` : ''
  return `${sign}${whole}${random(3) === 0 ? zeros : ''}${fraction}${random(4) === 0 && fraction ? zeros : ''}${exponent}`
}

const BYTEAS = [
  ...[
    '',
    '\\x',
    '\\x00',
    '\\xDEADbeef',
    '\\x de ad\nbe\tef',
    '\\xd',
    '\\xdx',
    '\\x d e',
    'abc',
    'a\\\\b',
    '\\000\\377',
  ],
  ...['\\400', '\\1', '\\12', '\\', 'a\\', '\\\\x41', 'é', '\\Xab', '\\x\v41', "a'b", '\\x0', ' \\x41'],
]

function byteaText(random: Random): string {
  const hex = times(random(pick(random, [13, 13, 50, 101])), () => random(256).toString(16).padStart(2, '0'))
  return `\\x${hex.join('')}`
}

export const ENUM_LABELS = ['', ' ', 'a', 'A', 'a ', 'ä', 'new', "o'clock", 'done', 'NULL', '1', '漢', 'x y']

/** 16777217 is half way between two float4, and so is what follows it, but for its last digit. */
const FLOATS = [
  ...[
    '-0',
    '-0.0',
    '+0',
    '-nan',
    'INFINITY',
    '1e38',
    '3.4028235e38',
    '3.4028236e38',
    '4e38',
    '1e-45',
    '1e-46',
  ],
  ...['16777217', '16777217.0000000001', '-16777219', '0.1', '1.7976931348623157e308', '4.9e-324', '2e-324'],
]

const CLOCKS = [
  ...[
    '00:00:00',
    '23:59:59.999999',
    '24:00:00',
    '24:00:01',
    '23:59:60',
    '12:00',
    '12',
    '1200',
    '12:00:00.1234567',
  ],
  ...[
    '12:00 PM',
    '04:05:06 AM',
    'allballs',
    '12:00:00Z',
    '12:00:00+02',
    '12:00:00 +02',
    '12:00:00+0230',
    'T12:00',
  ],
  ...[
    '12:00:00 Europe/Berlin',
    '2024-07-01 12:00:00 Europe/Berlin',
    '12:00:00-15:59:59',
    '12:00:00+16',
    '',
    'x',
  ],
]

function clockText(random: Random): string {
  const seconds = `${two(random(24))}:${two(random(60))}:${two(random(60))}`
  return random(2) === 0 ? seconds : `${seconds}.${digits(random, 1 + random(6))}`
}

const INETS = [
  ...[
    '0.0.0.0',
    '0.0.0.0/0',
    '255.255.255.255/32',
    '10.0.0.1/8',
    '10.0.0.0/8',
    '10/8',
    '10',
    '10.1',
    '1.2.3.4/33',
  ],
  ...[
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3',
    '1.2.3.4.5',
    ' 1.2.3.4',
    '1.2.3.4/',
    '1.2.3.4/08',
    '1.2.3.4/8/8',
    '::',
    '::1',
  ],
  ...[
    '::/0',
    '1::',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:',
  ],
  ...[
    '::ffff:1.2.3.4',
    '::1.2.3.4',
    '64:ff9b::1.2.3.4/128',
    '1.2.3.4::',
    '::ffff:1.2.3',
    '2001:DB8::1/64',
    ':1',
    '::g',
  ],
  ...['2001:db8::/32', '::1/129', '12345::', '0001::', 'x', ''],
]

function inetText(random: Random): string {
  const prefix = random(2) === 0 ? '' : `/${random(random(9) === 0 ? 140 : 33)}`
  if (random(2) === 0) {
    const zeros = random(3)
    return times(4, (i) => (i > zeros ? 0 : random(256))).join('.') + prefix
  }
  const groups = times(8, () => (random(2) === 0 ? 0 : random(65536)).toString(16)).join(':')
  return groups.replace(random(2) === 0 ? /(?:^|:)0:0(?::0)*(?::|$)/ : /$^/, '::') + prefix
}

const MACS = [
  ...[
    '08:00:2b:01:02:03',
    '08-00-2B-01-02-03',
    '08002b:010203',
    '08002b010203',
    '0800.2b01.0203',
    '8:0:2b:1:2:3',
  ],
  ...['08:00:2b:01:02:03:04:05', '08:00:2b:01:02', '08:00:2b:01:02:0g', ' 08:00:2b:01:02:03', ''],
]

function macText(random: Random, bytes: number): string {
  const text = times(bytes, () => random(256).toString(16).padStart(2, '0')).join(':')
  return random(4) === 0 ? text.toUpperCase() : text
}

/** Number literals as SQL has them, signed, without the forms that only Postgres 16 and later know. */
export function numberLiterals(random: Random): string[] {
  const plain = [...EDGES, ...NUMERICS].filter((n) => /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(n))
  const made = times(300, () => numericText(random)).concat(times(300, () => integerText(random, 19)))
  const literals = [
    ...plain,
    ...made.map((n) => n.replace(/^[+-]/, '')),
    '1.0',
    '12.000',
    '5e2',
    '5000e-3',
    '1.50e1',
  ]
  return [...literals, ...literals.map((n) => `-${n}`)]
}

/** String literals of every kind that Weft reads a key from. */
export function stringLiterals(random: Random): string[] {
  const made = times(300, () => stringText(random))
  const quoted = made.map((t) => `'${t.replaceAll("'", "''")}'`)
  const dollars = made.map((t) => `$q$${t}$q$`)
  const escaped = made.map((t) => `E'${escapedText(t, random)}'`)
  return [
    ...quoted,
    ...dollars,
    ...escaped,
    "'a'\n'b'",
    "'it''s' \n\t 'more'",
    "E'\\x41\\102\\u0043\\U00000044'",
  ]
}

const ESCAPES: Readonly<Record<string, readonly string[]>> = {
  "'": ["''", "\\'", '\\047', '\\x27'],
  '\\': ['\\\\', '\\134', '\\x5c'],
  '\n': ['\\n', '\n', '\\012'],
  a: ['a', '\\141', '\\x61', '\\u0061'],
  é: ['é', '\\u00e9', '\\xc3\\xa9', '\\303\\251'],
  '€': ['€', '\\u20AC', '\\U000020ac'],
  '😀': ['😀', '\\uD83D\\uDE00', '\\U0001F600'],
}

function escapedText(text: string, random: Random): string {
  return [...text].map((c) => pick(random, ESCAPES[c] ?? [c])).join('')
}
