import { spawn } from 'node:child_process'

/**
 * Stops `pid` when this process ends in a way that runs no code (SIGKILL, the OOM killer): a shell waits on a pipe
 * whose other end only we hold. Returns what calls the watch off.
 */
export function stopWhenWeDie(pid: number): () => void {
  if (process.platform === 'win32') return () => undefined
  const shell = spawn(
    '/bin/sh',
    ['-c', 'read -r _; kill -INT "$1" 2>/dev/null', 'weft-watchdog', String(pid)],
    {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      // Not in our process group: what kills the group must not take the watchdog along.
      detached: true,
    },
  )
  // Without a watchdog the next start still finds the orphan (stopOrphans).
  shell.on('error', () => undefined)
  shell.stdin.on('error', () => undefined)
  shell.unref()
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref()
  return () => shell.kill('SIGKILL')
}
