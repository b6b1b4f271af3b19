import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['found', 'held'], 2)
