import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['matviews'], 2)
