import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['locks', 'first', 'merge'], 2)
