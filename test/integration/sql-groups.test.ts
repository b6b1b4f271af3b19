import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['groups', 'spread', 'expressions'])
