import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['reads', 'answered'])
