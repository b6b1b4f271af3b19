// A reporter of Vitest: at the end of a run, the files that took longest, with what each spent on its imports and on its
// tests and hooks. `npm test` uses it: where the time of the suite goes is seen after each run.
const shown = 15

const seconds = (ms) => (ms / 1000).toFixed(1).padStart(7)

export default class SlowestFiles {
  onTestRunEnd(modules) {
    const files = modules.map((module) => {
      const { collectDuration, duration } = module.diagnostic()
      return { path: module.relativeModuleId, imports: collectDuration, tests: duration }
    })
    // A run of one or two files says the same by itself.
    if (files.length <= 2) return
    files.sort((a, b) => b.imports + b.tests - a.imports - a.tests)
    const line = (path, imports, tests) =>
      `${seconds(imports + tests)} ${seconds(imports)} ${seconds(tests)}  ${path}`
    const sum = (name) => files.reduce((total, file) => total + file[name], 0)
    const slowest = files.slice(0, shown).map(({ path, imports, tests }) => line(path, imports, tests))
    const all = line(`all ${files.length} files`, sum('imports'), sum('tests'))
    console.log(['', 'slowest files (seconds):', '  whole imports   tests', ...slowest, all, ''].join('\n'))
  }
}
