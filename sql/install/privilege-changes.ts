export type Privilege = readonly [grantee: string, privilege: string, isGrantable: boolean]

/** The statements after which an object that has the privileges `there` has those of `wanted`. PURE. */
export function privilegeChanges(
  kind: string,
  name: string,
  wanted: readonly Privilege[],
  there: readonly Privilege[],
): string[] {
  const on = `ON ${kind} ${name}`
  const taken = there.flatMap(([grantee, privilege, isGrantable]) => {
    const kept = find(wanted, grantee, privilege)
    if (kept === undefined) return [`REVOKE ${privilege} ${on} FROM ${grantee}`]
    return isGrantable && !kept[2] ? [`REVOKE GRANT OPTION FOR ${privilege} ${on} FROM ${grantee}`] : []
  })
  const given = wanted.flatMap(([grantee, privilege, isGrantable]) => {
    const had = find(there, grantee, privilege)
    if (had !== undefined && (had[2] || !isGrantable)) return []
    return [`GRANT ${privilege} ${on} TO ${grantee}${isGrantable ? ' WITH GRANT OPTION' : ''}`]
  })
  return [...taken, ...given]
}

/** Given by two people, it may be there twice. */
function find(list: readonly Privilege[], grantee: string, privilege: string): Privilege | undefined {
  const found = list.filter((each) => each[0] === grantee && each[1] === privilege)
  return found.find(([, , isGrantable]) => isGrantable) ?? found[0]
}
