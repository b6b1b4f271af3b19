// What the programs in JavaScript share: one line for each step, and where the server is.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const env = process.env
const here = dirname(fileURLToPath(import.meta.url))

export const isWeft = env.CLIENT_SERVER === 'weft'
/** A statement that Weft refuses. */
export const refused = env.CLIENT_REFUSED
export const ca = readFileSync(env.CLIENT_CA, 'utf8')
export const host = env.PGHOST
export const port = Number(env.PGPORT)
export const user = env.PGUSER
export const password = env.PGPASSWORD
export const database = env.PGDATABASE
export const url = `postgres://${user}:${password}@${host}:${port}/${database}`

/** The statements of a file beside this one. */
const statements = (file) =>
  readFileSync(join(here, file), 'utf8')
    .split(/;\n/)
    .filter((text) => text.trim() !== '')

export const schema = statements('schema.sql')
/** What makes one table a reference table and shards another: nothing on a plain Postgres. */
export const declarations = isWeft ? statements('declare.sql') : []

export function version(packageName) {
  let dir = dirname(createRequire(import.meta.url).resolve(packageName))
  for (;;) {
    try {
      const found = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
      if (found.name === packageName && found.version) return console.log(`version ${found.version}`)
    } catch {}
    if (dir === dirname(dir)) throw new Error(`${packageName} is not installed`)
    dir = dirname(dir)
  }
}

/** Prints `ok NAME and what run gives`, or why it failed. */
export async function step(name, run) {
  try {
    console.log(`ok ${name} ${[await run()].flat().join(' ')}`)
  } catch (error) {
    console.log(`error ${name} ${sqlstate(error) ?? ''} ${String(error.message).replace(/\s+/g, ' ')}`)
  }
}

export const none = (name, why) => console.log(`none ${name} ${why}`)

/** The SQLSTATE of an error, wherever the library has put it. */
export function sqlstate(error) {
  for (let at = error; at; at = at.cause ?? at.original ?? at.driverError ?? at.previous ?? at.meta) {
    if (/^[0-9A-Z]{5}$/.test(at.code ?? '')) return at.code
    if (/^[0-9A-Z]{5}$/.test(at.sqlstate ?? '')) return at.sqlstate
  }
}

/** The SQLSTATEs with which all of them fail, in turn. */
export async function failures(...runs) {
  const states = []
  for (const run of runs) {
    try {
      await run()
      states.push('none')
    } catch (error) {
      states.push(sqlstate(error) ?? error.message)
    }
  }
  return states
}

export const tenants = [1, 2, 3, 4, 5, 6, 7, 8]
/** `20` and `'20.00'` are the same amount: libraries give numeric columns as either. */
export const amount = (value) => Number(value).toFixed(2)
