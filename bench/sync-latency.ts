/** A slower disk: every sync of the Postgres servers takes so much longer. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'

/** The real sync comes first: what it takes on this disk is part of the time. */
const source = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int later(const char *name, int file) {
  int (*sync)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
  int result = sync(file);
  const char *us = getenv("WEFT_BENCH_SYNC_US");
  long wait = us == NULL ? 0 : atol(us);
  struct timespec left = { wait / 1000000, wait % 1000000 * 1000 };
  while (wait > 0 && nanosleep(&left, &left) != 0) { }
  return result;
}

int fsync(int file) { return later("fsync", file); }
int fdatasync(int file) { return later("fdatasync", file); }
`

/**
 * Has every process that is started from now on, and that is linked dynamically, wait after fsync and fdatasync, which is
 * how Postgres writes its log durably (`wal_sync_method` is fdatasync on Linux). etcd makes its system calls itself: it
 * is not slowed.
 */
export function slowSyncs(ms: number, dir: string): void {
  if (process.platform !== 'linux') throw new SetupError('--sync-latency needs Linux (LD_PRELOAD)')
  const [code, library] = [join(dir, 'sync-latency.c'), join(dir, 'sync-latency.so')]
  writeFileSync(code, source)
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, code, '-ldl'], {
    encoding: 'utf8',
  })
  if (status !== 0)
    throw new SetupError(
      `--sync-latency needs a C compiler: ${stderr ?? 'there is no cc'}`,
      'As root: apt-get install gcc',
    )
  process.env.WEFT_BENCH_SYNC_US = String(Math.round(ms * 1000))
  process.env.LD_PRELOAD = [library, process.env.LD_PRELOAD]
    .filter((one) => one !== undefined && one !== '')
    .join(':')
}
