import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(['ddl', 'local_ddl', 'partitions'], 1)
