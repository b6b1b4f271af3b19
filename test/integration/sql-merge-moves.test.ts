import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['merge_moves'], 2)
