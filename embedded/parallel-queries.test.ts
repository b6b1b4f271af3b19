import { expect, it } from 'vitest'
import { parallelQueries } from './parallel-queries.ts'

it.each([
  // servers, cores, workers
  [1, 1, 0],
  [1, 2, 1],
  [1, 16, 2],
  [3, 2, 0],
  [3, 5, 0],
  [3, 6, 1],
  [3, 64, 2],
])('for %i servers on %i cores a query gets %i parallel workers on each', (servers, cores, workers) => {
  expect(parallelQueries(servers, cores)).toEqual({
    max_parallel_workers_per_gather: String(workers),
    max_parallel_maintenance_workers: String(workers),
  })
})
