import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['copy_triggers', 'statement_triggers'], 2)
