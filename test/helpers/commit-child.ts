// A coordinator that moves money once and prints what its client hears. A failpoint may kill it before.
import { randomBytes } from 'node:crypto'
import { failpointsFromEnv } from '../../txn/failpoints.ts'
import { coordinatorIdFrom } from '../../txn/gid.ts'
import { EtcdTxnLog } from '../../txn/log/etcd-txn-log.ts'
import { PostgresTxnLog } from '../../txn/log/postgres-txn-log.ts'
import { cluster, transfer } from './commit-world.ts'

const env = (name: string): string => process.env[name] ?? ''

const coordinatorId = coordinatorIdFrom(randomBytes(8))
const log =
  env('TEST_ETCD') === ''
    ? await PostgresTxnLog.open({ url: env('TEST_LOG'), coordinatorId })
    : await EtcdTxnLog.open({ endpoints: env('TEST_ETCD').split(','), cluster, coordinatorId })
const failpoints = failpointsFromEnv(process.env.WEFT_FAILPOINT)
const outcome = await transfer({
  log,
  coordinatorId,
  urls: env('TEST_SHARDS').split(','),
  options: { failpoints },
})
process.stdout.write(`${outcome.outcome}\n`)
await log.close()
