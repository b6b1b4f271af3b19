import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['writes'], 2)
