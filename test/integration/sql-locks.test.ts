import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['locks', 'first'], 2)
