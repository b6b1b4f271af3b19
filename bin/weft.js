#!/usr/bin/env node
// In a checkout: bundle first when a source is newer than the bundle. In an installed package: only import it.
import { existsSync } from 'node:fs'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 10)) {
  console.error(`weft: Node.js 20.10 or newer is needed, this is ${process.versions.node}`)
  process.exit(1)
}
process.setSourceMapsEnabled(true)

const build = new URL('../scripts/build.js', import.meta.url)
const bundle = new URL('../dist/weft.js', import.meta.url)
if (existsSync(build) && existsSync(new URL('../node_modules/esbuild', import.meta.url))) {
  const { buildIfStale } = await import(build.href)
  try {
    await buildIfStale()
  } catch (error) {
    // Somebody else's checkout: what its owner built will do.
    if (!['EACCES', 'EROFS', 'EPERM'].includes(error.code)) {
      console.error(`weft: the sources could not be bundled: ${error.message.split('\n')[0]}`)
      process.exit(1)
    }
    console.error(`weft: cannot write to dist (${error.code}): running what was built before`)
  }
}
if (!existsSync(bundle)) {
  console.error('weft: dist/weft.js is missing; run npm ci && npm run build in the checkout')
  process.exit(1)
}
await import(bundle.href)
