import { spawnSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'

/** Whether `startBrowser` can work here; for `describe.skipIf`. Debian: `apt-get install chromium`. */
export const hasChromium = spawnSync('chromium', ['--version']).status === 0

const executablePath = spawnSync('sh', ['-c', 'command -v chromium']).stdout.toString().trim()

/** Debian's Chromium, without a window. As root it has no sandbox; it sees nothing but our own pages. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
}
