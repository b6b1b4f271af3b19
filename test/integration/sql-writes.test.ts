import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['writes', 'views', 'inserts'], 2)
