import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['locks'], 2)
