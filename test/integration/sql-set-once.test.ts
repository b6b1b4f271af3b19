import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['set_once'], 2)
