import { runTwinScripts } from '../helpers/twin-scripts.ts'

runTwinScripts(
  [
    'ddl',
    'local_ddl',
    'partitions',
    'key_types',
    'objects',
    'inherits',
    'declared_trees',
    'kinds',
    'policies',
    'refusals',
  ],
  1,
)
