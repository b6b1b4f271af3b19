import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['conflict_draws'], 2)
