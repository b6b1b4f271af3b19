/** In a text of Weft's: the `n`-th parameter, of which only the type matters. It is put there when the text is run. */
export const typedNull = (n: number): string => `${MARK}${n}`

const MARK = '__weft_typed_null_'
const TYPED_NULLS = new RegExp(`${MARK}(\\d+)`, 'g')

export const hasTypedNulls = (text: string): boolean => text.includes(MARK)

/** With NULLs of these types, as SQL names them, in their places. */
export function withTypedNulls(text: string, types: readonly string[]): string {
  return text.replaceAll(TYPED_NULLS, (_, n: string) => `(CAST(NULL AS ${types[Number(n)]}))`)
}
