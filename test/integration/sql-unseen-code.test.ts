import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['unseen_code', 'comments'], 2)
