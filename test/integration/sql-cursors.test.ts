import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['cursors'], 2)
