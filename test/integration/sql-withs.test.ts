import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['withs'], 2)
