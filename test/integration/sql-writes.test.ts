import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['writes', 'views'], 2)
