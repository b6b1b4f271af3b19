import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs'
import { childrenOf, sendSignal } from '../../embedded/postmaster.ts'
import type { Machine } from './net.ts'

export type Role = 'coordinator' | 'agent' | 'postgres' | 'etcd'

export interface Launch {
  readonly name: string
  readonly role: Role
  readonly machine: Machine
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Whom it runs as. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  /** With a channel to it, over which failpoints are set. */
  readonly ipc?: boolean
  /** What has to be done before each start. */
  readonly before?: () => void
}

/** A process of the cluster: started, killed, stopped for a while, as often as one likes. Its pids are kept in a file. */
export class ClusterProcess {
  /** The run is being taken away: nothing starts any more. */
  static isOver = false
  readonly name: string
  readonly role: Role
  readonly machine: Machine
  readonly logFile: string
  private readonly launch: Launch
  private readonly pidFile: string
  private child: ChildProcess | undefined
  private expected = false
  /** Another has taken its place: it never starts again. */
  isRetired = false
  /** A fault is on that may end it. */
  mayDie = false
  /** Told when it ends and nobody had asked for it. */
  onDeath: ((how: string) => void) | undefined
  onMessage: ((message: unknown) => void) | undefined

  constructor(launch: Launch, directory: string) {
    this.launch = launch
    this.name = launch.name
    this.role = launch.role
    this.machine = launch.machine
    this.logFile = `${directory}/logs/${launch.name}.log`
    this.pidFile = `${directory}/pids`
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  start(): void {
    if (this.isRunning || this.isRetired || ClusterProcess.isOver) return
    const { machine, user, env, ipc, before } = this.launch
    before?.()
    this.expected = false
    const [command, args] = this.commandLine()
    const output = openSync(this.logFile, 'a')
    const child = spawn(command, args, {
      cwd: '/',
      stdio: ['ignore', output, output, ...(ipc === true ? (['ipc'] as const) : [])],
      env: { ...process.env, LC_ALL: 'C', ...(machine.namespace === undefined ? env : {}) },
      // A session of its own: Ctrl-C is for us, who end it.
      detached: true,
      ...(machine.namespace === undefined && user !== undefined ? { uid: user.uid, gid: user.gid } : {}),
    })
    closeSync(output)
    this.child = child
    if (child.pid !== undefined) appendFileSync(this.pidFile, `${child.pid} ${startedAt(child.pid)}\n`)
    child.on('message', (message) => this.onMessage?.(message))
    child.on('error', (error) => this.onDeath?.(error.message))
    child.on('exit', (code, signal) => {
      if (!this.expected) this.onDeath?.(`ended with ${signal ?? code}`)
    })
  }

  private commandLine(): [string, string[]] {
    const { machine, command, args, user, env } = this.launch
    if (machine.namespace === undefined) return [command, [...args]]
    const as = user === undefined ? [] : [`--setuid=${user.uid}`, `--setgid=${user.gid}`]
    // What is loaded into the process is none of nsenter's, which begins as root.
    const own = ['env', ...Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`)]
    return ['nsenter', [`--net=/var/run/netns/${machine.namespace}`, ...as, '--', ...own, command, ...args]]
  }

  send(message: object): void {
    if (this.isRunning) this.child?.send(message, () => undefined)
  }

  /** SIGKILL to it and its children, and until it is gone. */
  async kill(): Promise<void> {
    const { child } = this
    this.expected = true
    if (!this.isRunning || child?.pid === undefined) return
    const gone = once(child, 'exit')
    // Stopped first, so that no child is born between the listing and the kill.
    sendSignal(child.pid, 'SIGSTOP')
    const children = childrenOf(child.pid)
    sendSignal(child.pid, 'SIGKILL')
    for (const pid of children) sendSignal(pid, 'SIGKILL')
    await gone
  }

  /** SIGTERM (of Postgres: SIGINT, its fast shutdown), and until it is gone; killed when that takes too long. */
  async stop(graceMs = 5000): Promise<void> {
    const { child } = this
    this.expected = true
    if (!this.isRunning || child?.pid === undefined) return
    const gone = once(child, 'exit')
    sendSignal(child.pid, this.role === 'postgres' ? 'SIGINT' : 'SIGTERM')
    const tooLong = setTimeout(() => void this.kill(), graceMs)
    await gone
    clearTimeout(tooLong)
  }

  /** It and its children stand still; their connections stay open. */
  pause(): void {
    this.signalAll('SIGSTOP')
  }

  resume(): void {
    this.signalAll('SIGCONT')
  }

  private signalAll(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (!this.isRunning || this.child?.pid === undefined) return
    for (const pid of [this.child.pid, ...childrenOf(this.child.pid)]) sendSignal(pid, name)
  }

  /** The end of what it has printed. */
  tail(lines = 5): string {
    const text = readFileSync(this.logFile, 'utf8')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }
}

/** In ticks since the machine began: tells a process from a later one with the same pid. */
export function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
