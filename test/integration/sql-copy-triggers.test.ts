import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['copy_triggers'], 2)
