import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** A machine of the cluster: an address of its own, in a network namespace of its own where there are such. */
export interface Machine {
  readonly name: string
  readonly address: string
  /** Name of its namespace; undefined: on loopback. */
  readonly namespace: string | undefined
}

export interface Network {
  readonly machines: ReadonlyMap<string, Machine>
  /** Why there are no namespaces, and so no partitions; undefined when there are. */
  readonly flat: string | undefined
  /** How links are made slow. */
  readonly shaping: 'netem' | 'tbf' | 'none'
  /** What `from` sends to `to` is lost from now on, silently. */
  cut(from: Machine, to: Machine): Promise<void>
  /** What the machine sends is slow, or some of it lost, or both. */
  slow(machine: Machine, how: Shape): Promise<void>
  /** Takes back one cut. */
  mend(from: Machine, to: Machine): Promise<void>
  /** Takes back all cuts and slow links. */
  heal(): Promise<void>
  remove(): Promise<void>
}

/** Of what a machine sends. */
export type Shape = 'slow' | 'lossy' | 'both'

/** Arguments of `tc qdisc replace … root`. A narrow token bucket (tbf) is slow, and loses what is too much for it. */
export function discipline(kind: 'netem' | 'tbf', how: Shape): string[] {
  if (kind === 'tbf') return ['tbf', 'rate', '300kbit', 'burst', '4kb', 'latency', '300ms']
  const delay = ['delay', '60ms', '30ms', '25%']
  return [
    'netem',
    ...(how === 'lossy' ? [] : delay),
    ...(how === 'slow' ? [] : ['loss', how === 'both' ? '3%' : '15%', '25%']),
  ]
}

/** Nobody has this address: a frame to it is a frame that is lost. */
const NOBODY = '02:00:00:00:00:fe'

/** Names of namespaces and links of the run with this number begin so. */
export function prefixOf(run: number): string {
  return `wj${run}-`
}

/** Why network namespaces cannot be used here; undefined when they can. */
export async function whyFlat(run: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const probe = `${prefixOf(run)}probe`
  try {
    await ip('netns', 'add', probe)
    await ip('-n', probe, 'link', 'add', 'name', 'va', 'type', 'veth', 'peer', 'name', 'vb')
    return undefined
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string }
    return `no network namespaces here (${(stderr || message).trim().split('\n')[0]})`
  } finally {
    await ip('netns', 'del', probe).catch(() => undefined)
  }
}

/** One machine for each name, on a bridge of their own; the bridge's address is that of whoever drives the run. */
export async function makeNetwork(run: number, names: readonly string[]): Promise<Network> {
  const flat = await whyFlat(run)
  const machine = (name: string, i: number): Machine => ({
    name,
    address: flat === undefined ? `10.231.${run}.${10 + i}` : `127.231.${run}.${10 + i}`,
    namespace: flat === undefined ? `${prefixOf(run)}${name}` : undefined,
  })
  const machines = new Map(names.map((name, i) => [name, machine(name, i)]))
  if (flat !== undefined) return flatNetwork(machines, flat)
  await makeLinks(run, [...machines.values()])
  const [first] = machines.values()
  return new Namespaces(run, machines, first === undefined ? 'none' : await shapingOf(first))
}

function flatNetwork(machines: ReadonlyMap<string, Machine>, flat: string): Network {
  const impossible = async (): Promise<void> => {
    throw new Error(`the network cannot be broken: ${flat}`)
  }
  const nothing = async (): Promise<void> => undefined
  return {
    machines,
    flat,
    shaping: 'none',
    cut: impossible,
    slow: impossible,
    mend: impossible,
    heal: nothing,
    remove: nothing,
  }
}

async function makeLinks(run: number, machines: readonly Machine[]): Promise<void> {
  const bridge = `${prefixOf(run)}br`
  await ip('link', 'add', bridge, 'type', 'bridge')
  await ip('addr', 'add', `10.231.${run}.1/24`, 'dev', bridge)
  await ip('link', 'set', bridge, 'up')
  for (const { name, namespace = '', address } of machines) {
    const link = `${prefixOf(run)}${name}`
    await ip('netns', 'add', namespace)
    await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
    await ip('link', 'set', link, 'master', bridge, 'up')
    await ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up')
    await ip('-n', namespace, 'link', 'set', 'lo', 'up')
  }
}

/** What the kernel has: netem delays and loses; a narrow token bucket does both when much is sent. */
async function shapingOf({ namespace = '' }: Machine): Promise<Network['shaping']> {
  for (const kind of ['netem', 'tbf'] as const) {
    try {
      await shape(namespace, kind, 'both')
      await unshape(namespace)
      return kind
    } catch {
      // The kernel does not know it.
    }
  }
  return 'none'
}

function shape(namespace: string, kind: 'netem' | 'tbf', how: Shape): Promise<void> {
  return run('tc', '-n', namespace, 'qdisc', 'replace', 'dev', 'eth0', 'root', ...discipline(kind, how))
}

function unshape(namespace: string): Promise<void> {
  return run('tc', '-n', namespace, 'qdisc', 'del', 'dev', 'eth0', 'root')
}

class Namespaces implements Network {
  readonly machines: ReadonlyMap<string, Machine>
  readonly flat = undefined
  readonly shaping: Network['shaping']
  private readonly run: number
  private readonly cuts = new Set<string>()
  private readonly slowed = new Set<string>()
  private last: Promise<void> = Promise.resolve()

  constructor(run: number, machines: ReadonlyMap<string, Machine>, shaping: Network['shaping']) {
    this.run = run
    this.machines = machines
    this.shaping = shaping
  }

  cut(from: Machine, to: Machine): Promise<void> {
    const { namespace = '' } = from
    const neighbour = [to.address, 'lladdr', NOBODY, 'nud', 'permanent', 'dev', 'eth0']
    return this.inTurn(async () => {
      this.cuts.add(`${namespace} ${to.address}`)
      await ip('-n', namespace, 'neigh', 'replace', ...neighbour)
    })
  }

  mend({ namespace = '' }: Machine, to: Machine): Promise<void> {
    return this.inTurn(() => this.connect(`${namespace} ${to.address}`))
  }

  slow({ namespace = '' }: Machine, how: Shape): Promise<void> {
    const { shaping } = this
    if (shaping === 'none') return Promise.reject(new Error('the kernel has no way to slow a link'))
    return this.inTurn(async () => {
      this.slowed.add(namespace)
      await shape(namespace, shaping, how)
    })
  }

  heal(): Promise<void> {
    return this.inTurn(async () => {
      for (const cut of [...this.cuts]) await this.connect(cut)
      for (const namespace of [...this.slowed]) {
        await unshape(namespace)
        this.slowed.delete(namespace)
      }
    })
  }

  private async connect(cut: string): Promise<void> {
    if (!this.cuts.has(cut)) return
    const [namespace = '', address = ''] = cut.split(' ')
    await ip('-n', namespace, 'neigh', 'del', address, 'dev', 'eth0')
    this.cuts.delete(cut)
  }

  /** Two faults may be at it at once. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.last.then(work)
    this.last = done.catch(() => undefined)
    return done
  }

  remove(): Promise<void> {
    return removeNetwork(this.run)
  }
}

/** Pids of what runs in the run's namespaces. */
export async function pidsInNamespaces(run: number): Promise<number[]> {
  const names = await namespacesOf(run)
  const told = await Promise.all(
    names.map((name) => execute('ip', ['netns', 'pids', name]).catch(() => ({ stdout: '' }))),
  )
  return told.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean).map(Number))
}

/** Takes away what a run has made, whether it still knows of it or not. */
export async function removeNetwork(run: number): Promise<void> {
  // By themselves links go some time after their namespace, and the next run may want their names.
  const gone = (...what: string[]): Promise<void> => ip(...what).catch(() => undefined)
  await Promise.all((await linksOf(run)).map((link) => gone('link', 'del', link)))
  await Promise.all((await namespacesOf(run)).map((name) => gone('netns', 'del', name)))
}

async function linksOf(run: number): Promise<string[]> {
  const { stdout } = await execute('ip', ['-o', 'link']).catch(() => ({ stdout: '' }))
  const names = stdout.split('\n').map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? '')
  return names.filter((name) => name.startsWith(prefixOf(run)))
}

async function namespacesOf(run: number): Promise<string[]> {
  const { stdout } = await execute('ip', ['netns', 'list']).catch(() => ({ stdout: '' }))
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '')
  return names.filter((name) => name.startsWith(prefixOf(run)))
}

function ip(...args: string[]): Promise<void> {
  return run('ip', ...args)
}

async function run(command: string, ...args: string[]): Promise<void> {
  await execute(command, args)
}
