import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['writes', 'views', 'inserts', 'tables_as', 'keyless'], 2)
