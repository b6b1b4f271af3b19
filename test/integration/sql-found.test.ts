import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['found'], 2)
