import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['moves'], 2)
