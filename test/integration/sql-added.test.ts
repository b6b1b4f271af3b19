import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['added'], 2)
