import { type Random, seeded } from '../helpers/random-queries.ts'

/**
 * TPC-H's eight tables, small and from a seed, as rows of values in the order of `schema.sql`. The distributions are simpler
 * than dbgen's; words, dates and amounts are chosen so that every one of the 22 queries finds something.
 */
export interface TpchRows {
  readonly [table: string]: readonly (readonly (string | number)[])[]
}

export interface TpchSize {
  readonly suppliers: number
  readonly parts: number
  readonly customers: number
  readonly orders: number
}

const NATIONS: readonly (readonly [string, number])[] = [
  ['ALGERIA', 0],
  ['ARGENTINA', 1],
  ['BRAZIL', 1],
  ['CANADA', 1],
  ['EGYPT', 4],
  ['ETHIOPIA', 0],
  ['FRANCE', 3],
  ['GERMANY', 3],
  ['INDIA', 2],
  ['INDONESIA', 2],
  ['IRAN', 4],
  ['IRAQ', 4],
  ['JAPAN', 2],
  ['JORDAN', 4],
  ['KENYA', 0],
  ['MOROCCO', 0],
  ['MOZAMBIQUE', 0],
  ['PERU', 1],
  ['CHINA', 2],
  ['ROMANIA', 3],
  ['SAUDI ARABIA', 4],
  ['VIETNAM', 2],
  ['RUSSIA', 3],
  ['UNITED KINGDOM', 3],
  ['UNITED STATES', 1],
]
const REGIONS = ['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST']
const SEGMENTS = ['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD']
const PRIORITIES = ['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW']
const MODES = ['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'AIR REG']
const INSTRUCTIONS = ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN']
const COLORS = ['almond', 'forest', 'green', 'ivory', 'lemon', 'navy']
const TYPES = [
  'ECONOMY ANODIZED STEEL',
  'PROMO BRUSHED BRASS',
  'STANDARD PLATED BRASS',
  'MEDIUM POLISHED TIN',
  'LARGE BURNISHED COPPER',
]
const BRANDS = ['Brand#12', 'Brand#23', 'Brand#34', 'Brand#45', 'Brand#51']
const CONTAINERS = ['SM CASE', 'SM BOX', 'MED BAG', 'MED BOX', 'LG CASE', 'LG PKG', 'JUMBO JAR']
const SIZES = [1, 3, 4, 9, 14, 15, 19, 23, 36, 45, 49, 50]
const SUPPLIERS_OF_A_PART = 4
const DAY = 86_400_000
const FIRST_DAY = Date.UTC(1992, 0, 1)
const ORDER_DAYS = 2_406

const cents = (amount: number): string => (amount / 100).toFixed(2)
const dayOf = (day: number): string => new Date(FIRST_DAY + day * DAY).toISOString().slice(0, 10)
const numbered = (name: string, key: number): string => `${name}#${String(key).padStart(9, '0')}`
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))
const phone = (r: Random, nation: number): string =>
  `${nation + 10}-${100 + r.below(900)}-${100 + r.below(900)}-${1000 + r.below(9000)}`
const priceOf = (part: number): number => 90_000 + ((part * 10) % 20_001) + 100 * (part % 1000)
const supplierOf = (part: number, nth: number, suppliers: number): number =>
  ((part + nth * (Math.floor(suppliers / 4) + 1)) % suppliers) + 1

export function tpchRows(seed: number, size: TpchSize): TpchRows {
  const r = seeded(seed)
  const orders = times(size.orders, (index) => orderOf(r, index + 1, size))
  return {
    region: REGIONS.map((name, key) => [key, name, 'a region']),
    nation: NATIONS.map(([name, region], key) => [key, name, region, 'a nation']),
    supplier: times(size.suppliers, (index) => supplierRow(r, index + 1)),
    part: times(size.parts, (index) => partRow(r, index + 1)),
    partsupp: times(size.parts, (part) =>
      times(SUPPLIERS_OF_A_PART, (nth) => [
        part + 1,
        supplierOf(part + 1, nth, size.suppliers),
        1 + r.below(9_999),
        cents(100 + r.below(99_900)),
        'of a part',
      ]),
    ).flat(),
    customer: times(size.customers, (index) => customerRow(r, index + 1)),
    orders: orders.map(({ order }) => order),
    lineitem: orders.flatMap(({ lines }) => lines),
  }
}

function supplierRow(r: Random, key: number): (string | number)[] {
  const nation = key % NATIONS.length
  const comment = r.chance(10) ? 'Customer said Complaints' : 'carefully final'
  return [
    key,
    numbered('Supplier', key),
    `street ${key}`,
    nation,
    phone(r, nation),
    cents(r.below(1_099_998) - 99_999),
    comment,
  ]
}

function partRow(r: Random, key: number): (string | number)[] {
  return [
    key,
    `${r.pick(COLORS)} ${r.pick(COLORS)}`,
    `Manufacturer#${1 + r.below(5)}`,
    r.pick(BRANDS),
    r.pick(TYPES),
    r.pick(SIZES),
    r.pick(CONTAINERS),
    cents(priceOf(key)),
    'a part',
  ]
}

function customerRow(r: Random, key: number): (string | number)[] {
  const nation = r.below(NATIONS.length)
  return [
    key,
    numbered('Customer', key),
    `avenue ${key}`,
    nation,
    phone(r, nation),
    cents(r.below(1_099_998) - 99_999),
    r.pick(SEGMENTS),
    'slyly ironic',
  ]
}

/** A third of the customers never order; one order in fifty is a large one. */
function orderOf(
  r: Random,
  key: number,
  size: TpchSize,
): { order: (string | number)[]; lines: (string | number)[][] } {
  const customer = 1 + r.below(size.customers)
  const day = r.below(ORDER_DAYS)
  const large = key % 50 === 0
  const lines = times(large ? 7 : 1 + r.below(7), (index) => lineOf(r, key, index + 1, day, large, size))
  const shipped = lines.filter((line) => line[9] === 'F').length
  const status = shipped === lines.length ? 'F' : shipped === 0 ? 'O' : 'P'
  const total = lines.reduce((sum, line) => sum + Math.round(Number(line[5]) * 100), 0)
  const comment = r.chance(5) ? 'special packages requests' : 'quickly'
  const own = customer % 3 === 0 ? customer - 1 : customer
  return {
    order: [
      key,
      own,
      status,
      cents(total),
      dayOf(day),
      r.pick(PRIORITIES),
      numbered('Clerk', 1 + r.below(10)),
      0,
      comment,
    ],
    lines,
  }
}

function lineOf(
  r: Random,
  order: number,
  line: number,
  day: number,
  large: boolean,
  size: TpchSize,
): (string | number)[] {
  const part = 1 + r.below(size.parts)
  const quantity = large ? 45 + r.below(6) : 1 + r.below(50)
  const ships = day + 1 + r.below(121)
  const received = ships + 1 + r.below(30)
  const today = (Date.UTC(1995, 5, 17) - FIRST_DAY) / DAY
  return [
    order,
    part,
    supplierOf(part, r.below(SUPPLIERS_OF_A_PART), size.suppliers),
    line,
    quantity,
    cents(quantity * priceOf(part)),
    cents(r.below(11)),
    cents(r.below(9)),
    received <= today ? r.pick(['R', 'A']) : 'N',
    ships > today ? 'O' : 'F',
    dayOf(ships),
    dayOf(day + 30 + r.below(61)),
    dayOf(received),
    r.pick(INSTRUCTIONS),
    r.pick(MODES),
    'a line',
  ]
}
