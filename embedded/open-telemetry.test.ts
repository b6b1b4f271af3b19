import { expect, it } from 'vitest'
import { createLogger } from '../admin/logger.ts'
import { startTracing } from './open-telemetry.ts'

const log = createLogger({ level: 'silent' })
const endpoint = 'http://127.0.0.1:4318'

it.each([
  ['nothing is said', {}],
  ['no exporter', { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }],
  ['the SDK is disabled', { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }],
  ['variables are empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_EXPORTER: '' }],
])('traces: %s: they are off', async (_, env) => {
  expect(await startTracing(env, log)).toBeUndefined()
})

it.each([
  ['an endpoint', { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }],
  ['an endpoint for traces', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/v1/traces` }],
  ['an exporter', { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }],
])('traces: %s: they are on', async (_, env) => {
  const started = await startTracing(env, log)
  expect(started).toBeDefined()
  await started!.stop()
})

it.each([
  ['an exporter', { OTEL_TRACES_EXPORTER: 'zipkin' }, 'OTEL_TRACES_EXPORTER=zipkin'],
  [
    'a protocol',
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    'PROTOCOL=grpc',
  ],
])('traces: %s that is not known: the node does not start', async (_, env, words) => {
  await expect(startTracing(env, log)).rejects.toThrow(words)
})
