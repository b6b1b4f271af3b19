// Loaded into the Weft process before Weft itself (node --import) when it is to be profiled. The benchmark tells it
// over the IPC channel when to begin and when to write the profile; it costs nothing in between.
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

const session = new Session()
session.connect()

const post = (method, params) =>
  new Promise((resolve, reject) =>
    session.post(method, params, (error, result) => (error ? reject(error) : resolve(result))),
  )

const commands = {
  async start({ intervalUs }) {
    await post('Profiler.enable')
    await post('Profiler.setSamplingInterval', { interval: intervalUs })
    await post('Profiler.start')
  },
  async stop({ file }) {
    const { profile } = await post('Profiler.stop')
    await post('Profiler.disable')
    writeFileSync(file, JSON.stringify(profile))
  },
}

process.on('message', async (message) => {
  try {
    await commands[message.command](message)
    process.send({ done: message.command })
  } catch (error) {
    process.send({ failed: error.message })
  }
})
// The channel alone must not keep Weft running.
process.channel.unref()
