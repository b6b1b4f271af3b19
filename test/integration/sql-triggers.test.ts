import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['statement_triggers'], 2)
