/** Waits for all before it rejects with the first error: no exec may still run when the statement is over. */
export async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises)
  const failed = results.find((r): r is PromiseRejectedResult => r.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return results.map((r) => (r as PromiseFulfilledResult<T>).value)
}

/** Runs `cleanUp` before a rejection goes on. */
export async function failedOf<T>(promise: Promise<T>, cleanUp: () => Promise<void>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    await cleanUp()
    throw error
  }
}
