import type { DefElem } from '@pgsql/types'
import { as, type Node, strings } from '../../parse/ast.ts'

/** The options of a list by name, in order. */
export function defElems(list: readonly Node[] | undefined): DefElem[] {
  return (list ?? []).flatMap((node) => {
    const option = as(node, 'DefElem')
    return option === undefined ? [] : [option]
  })
}

export function findOption(list: readonly Node[] | undefined, name: string): DefElem | undefined {
  return defElems(list).find((option) => option.defname === name)
}

/** An option's value as text, whichever way it was written; undefined when it has none. */
export function optionText(option: DefElem): string | undefined {
  const { arg } = option
  if (arg === undefined) return undefined
  const string = as(arg, 'String')
  if (string) return string.sval ?? ''
  const integer = as(arg, 'Integer')
  if (integer) return String(integer.ival ?? 0)
  const float = as(arg, 'Float')
  if (float) return float.fval ?? ''
  const boolean = as(arg, 'Boolean')
  if (boolean) return boolean.boolval ? 'true' : 'false'
  const type = as(arg, 'TypeName')
  if (type) return strings(type.names).join('.')
  return strings(as(arg, 'List')?.items).join('.')
}

/** As defGetBoolean: no value means true; undefined for what is no boolean. */
export function optionFlag(option: DefElem): boolean | undefined {
  switch (optionText(option)?.toLowerCase()) {
    case undefined:
    case 'true':
    case 'on':
    case '1':
      return true
    case 'false':
    case 'off':
    case '0':
      return false
    default:
      return undefined
  }
}
