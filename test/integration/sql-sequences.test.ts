/** Columns that draw from sequences: Weft beside plain Postgres. */
import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['sequences'], 2)
