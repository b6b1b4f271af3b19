import type { Logger } from '../admin/logger.ts'

/** What has been started, so that it can be stopped in reverse: at the end, or when a later step fails. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = []
  #running: Promise<void> | undefined

  add(step: () => unknown): void {
    this.#steps.push(step)
  }

  /** Runs every step, also when one fails; then throws the first failure. Called twice it is one run. */
  run(): Promise<void> {
    this.#running ??= this.#runAll()
    return this.#running
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

/** Runs `start`; if it fails, what it has started by then is stopped. */
export async function startOrCleanUp<T>(logger: Logger, start: (cleanup: Cleanup) => Promise<T>): Promise<T> {
  const cleanup = new Cleanup()
  try {
    return await start(cleanup)
  } catch (error) {
    // The failure that made the start fail is the one to report.
    await cleanup.run().catch((err: unknown) => logger.warn({ err }, 'stopping after a failed start'))
    throw error
  }
}
