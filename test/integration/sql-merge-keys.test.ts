import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['merge_keys'], 2)
