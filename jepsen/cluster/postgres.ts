import { execFile } from 'node:child_process'
import { appendFileSync, chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { findBinaries } from '../../embedded/postgres-binaries.ts'
import { chooseRunAs, type RunAs } from '../../embedded/run-as.ts'
import { FakeTime } from './faketime.ts'
import type { Machine } from './net.ts'
import { ClusterProcess } from './process.ts'
import { removeSegment } from './segments.ts'

export const POSTGRES_PORT = 25432
const SMALL_MB = 200

/** The servers of the shards: all of them copies of one new data directory. */
export class PostgresServers {
  private readonly directory: string
  private readonly user: RunAs | undefined
  private readonly binaries: { readonly initdb: string; readonly postgres: string }
  private template: Promise<string> | undefined
  /** Servers are to have standbys: they keep all of their log, so that a copy of the first data can follow. */
  private readonly replicated: boolean
  /** The machine whose data have a small file system for themselves. */
  small: Machine | undefined
  /** Why none has; undefined when one has. */
  whyNoDisk: string | undefined = 'no file system was made for it'

  /** Undefined: their clocks are those of the machine. */
  readonly clocks: FakeTime | undefined

  constructor(directory: string, { replicated = false, ownClocks = false } = {}) {
    this.directory = directory
    this.replicated = replicated
    this.clocks = ownClocks ? FakeTime.in(directory) : undefined
    this.user = chooseRunAs(join(directory, 'data', 'template'))
    this.binaries = findBinaries(this.user)
  }

  /** Of a shard; it is not started yet. */
  async make(name: string, machine: Machine): Promise<ClusterProcess> {
    return this.process(name, machine, await this.copy(name))
  }

  /** One that follows the server at the other port of its machine, from the first byte of its log on; not started. */
  async makeStandby(
    name: string,
    machine: Machine,
    port: number,
    primaryPort: number,
  ): Promise<ClusterProcess> {
    const data = await this.copy(name)
    writeFileSync(join(data, 'standby.signal'), '')
    const follows = `host=${machine.address} port=${primaryPort} user=postgres application_name=${name}`
    appendFileSync(join(data, 'postgresql.conf'), `primary_conninfo = '${follows}'\n`)
    return this.process(name, machine, data, port)
  }

  /** Of the first data, for a server of that name. */
  private async copy(name: string): Promise<string> {
    const data = join(this.dataOf(name), 'pg')
    await this.own(this.dataOf(name))
    this.template ??= this.initdb()
    await promisify(execFile)('cp', ['-a', `${await this.template}/.`, data])
    return data
  }

  /** Gives the data of the machine, which are not there yet, a file system that is soon full. */
  async makeSmall(machine: Machine): Promise<void> {
    const path = this.dataOf(machine.name)
    mkdirSync(path, { recursive: true, mode: 0o755 })
    try {
      await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_MB}m`, 'weft-jepsen', path])
      this.small = machine
      this.whyNoDisk = undefined
    } catch (error) {
      this.whyNoDisk = `no file system can be mounted (${(error as Error).message.trim().split('\n').at(-1)})`
    }
  }

  /** What holds a shard's data: a file system of its own may be mounted there before the server is made. */
  dataOf(name: string): string {
    return join(this.directory, 'data', name)
  }

  private async own(path: string): Promise<void> {
    mkdirSync(path, { recursive: true, mode: 0o755 })
    if (this.user !== undefined) chownSync(path, this.user.uid, this.user.gid)
  }

  private async initdb(): Promise<string> {
    const parent = this.dataOf('template')
    await this.own(parent)
    const path = join(parent, 'pg')
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    await promisify(execFile)(
      this.binaries.initdb,
      ['-D', path, '-U', 'postgres', '--auth=trust', '--no-sync', ...locale],
      { cwd: '/', ...(this.user === undefined ? {} : { uid: this.user.uid, gid: this.user.gid }) },
    )
    appendFileSync(
      join(path, 'pg_hba.conf'),
      'host all all 0.0.0.0/0 trust\nhost replication all 0.0.0.0/0 trust\n',
    )
    return path
  }

  private process(name: string, machine: Machine, data: string, port = POSTGRES_PORT): ClusterProcess {
    const settings = {
      port: String(port),
      listen_addresses: machine.address,
      unix_socket_directories: '',
      max_connections: '100',
      max_prepared_transactions: '200',
      shared_buffers: '16MB',
      // Processes are killed, the machine's memory of what they wrote stays.
      fsync: 'off',
      full_page_writes: 'off',
      // In its own directory, with which it goes.
      dynamic_shared_memory_type: 'mmap',
      max_wal_size: '64MB',
      min_wal_size: '32MB',
      log_line_prefix: '%m [%p] ',
      ...(this.replicated ? { wal_keep_size: '4GB', wal_retrieve_retry_interval: '200ms' } : {}),
    }
    return new ClusterProcess(
      {
        ...{ name, machine, role: 'postgres', command: this.binaries.postgres, user: this.user },
        env: this.clocks?.env(name) ?? {},
        args: ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
        // What was killed leaves its pid there, and somebody else may have it now.
        before: () => {
          removeSegment(data)
          if (existsSync(dirname(data))) rmSync(join(data, 'postmaster.pid'), { force: true })
        },
      },
      this.directory,
    )
  }
}
