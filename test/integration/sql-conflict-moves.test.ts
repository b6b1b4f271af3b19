import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['conflict_moves'], 2)
