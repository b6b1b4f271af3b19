import { deriving } from './settings-sql.ts'

/** The settings of an exec after which nobody else may have its backend (sql/code/lasting-state.ts). */
export const spoiling = deriving(() => ({ spoils: true }))
