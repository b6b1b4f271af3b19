import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['gather'])
