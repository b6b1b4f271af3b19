import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { codeOf } from '../helpers/accounts.ts'
import { hasChromium, startBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { connectTo, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { runWeft, type WeftProcess } from '../helpers/weft-process.ts'

const ADMIN = 'token-of-an-admin'
const VIEWER = 'token-of-a-viewer'

describe.skipIf(!hasChromium)('the console in a browser', () => {
  const root = mkdtempSync(join(tmpdir(), 'weft-console-'))
  const config = join(root, 'weft.yaml')
  let servers: readonly TestPostgres[] = []
  let agents: WeftProcess[] = []
  let coordinator: WeftProcess | undefined
  let browser: Browser
  let url = ''
  let adminUrl = ''
  /** What a page asked somebody else for, and what its policy kept from it. */
  const wrong: string[] = []

  beforeAll(async () => {
    servers = await Promise.all([startPostgres(), startPostgres()])
    const ports = await Promise.all([freePort(), freePort()])
    const lines = [
      'shards:',
      ...servers.map(
        (one, id) => `  - { id: ${id}, postgres: "${one.url}", agent: "127.0.0.1:${ports[id]}" }`,
      ),
      'coordinator:',
      '  listen: 127.0.0.1:0',
      '  adminListen: 127.0.0.1:0',
      '  auth: [{ from: 127.0.0.1, method: trust }]',
      'agent: { adminListen: 127.0.0.1:0 }',
      `admin: { tokens: [{ name: ann, role: admin, token: ${ADMIN} }, { name: vic, role: viewer, token: ${VIEWER} }] }`,
    ]
    writeFileSync(config, `${lines.join('\n')}\n`)
    agents = [startAgent(0), startAgent(1)]
    coordinator = runWeft(['coordinator', '--config', config])
    const event = JSON.parse(await coordinator.line('{"event":"up"')) as { listen: string; adminUrl: string }
    url = `postgres://postgres@${event.listen}/postgres`
    adminUrl = event.adminUrl
    await query(url, "CREATE TABLE item (id int PRIMARY KEY, n int) WITH (shard_key = 'id')")
    await query(url, 'INSERT INTO item SELECT i, i FROM generate_series(1, 100) i')
    browser = await startBrowser()
  })
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()))
    expect(wrong).toEqual([])
  })
  afterAll(async () => {
    await browser?.close()
    const processes = [...agents, ...(coordinator === undefined ? [] : [coordinator])]
    for (const { child } of processes) child.kill('SIGKILL')
    await Promise.all(processes.map(({ finished }) => finished))
    await Promise.all(servers.map((server) => server.stop()))
    rmSync(root, { recursive: true, force: true })
  })

  const startAgent = (shard: number): WeftProcess =>
    runWeft(['agent', '--config', config, '--shard', String(shard)])

  async function open(): Promise<Page> {
    const page = await (await browser.newContext()).newPage()
    page.setDefaultTimeout(60_000)
    page.on('request', (request) => {
      if (!request.url().startsWith(adminUrl) && !request.url().startsWith('data:')) wrong.push(request.url())
    })
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) wrong.push(message.text())
    })
    page.on('pageerror', (error) => wrong.push(String(error)))
    await page.goto(adminUrl)
    return page
  }

  async function logIn(page: Page, token: string): Promise<void> {
    await page.getByLabel('Token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
  }

  async function loggedIn(token: string): Promise<Page> {
    const page = await open()
    await logIn(page, token)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    return page
  }

  const stateOf = (page: Page, shard: number) =>
    page.getByRole('region', { name: 'Shards' }).locator('tbody tr').nth(shard).locator('td').nth(1)

  it('a wrong token: one line, and nothing is shown; the right one is kept for the tab', async () => {
    const page = await open()
    await logIn(page, 'wrong-wrong-wrong')
    const alert = page.getByRole('alert')
    await alert.waitFor()
    expect(await alert.textContent()).toBe(
      'the token is wrong. See admin.tokens in the configuration of the node.',
    )
    expect(await page.getByRole('navigation').count()).toBe(0)
    await logIn(page, ADMIN)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').waitFor()
  })

  it('load is seen: rates, latency, and statements by fingerprint with their plan', async () => {
    const page = await loggedIn(ADMIN)
    const client = await connectTo(url)
    const told = async (title: string): Promise<number> => {
      await client.query('SELECT n FROM item WHERE id = 1')
      await client.query('SELECT count(*) FROM item')
      const text = await page.getByLabel(title, { exact: true }).locator('dd').first().textContent()
      return Number.parseFloat(text ?? '')
    }
    await expect.poll(() => told('Statements')).toBeGreaterThan(0)
    await expect.poll(() => told('Latency')).toBeGreaterThan(0)
    await expect.poll(() => told('Cuts')).toBeGreaterThan(0)
    await client.end()
    await page.keyboard.press('4')
    await page.getByRole('heading', { name: 'Statements', level: 1 }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('count(*) from item')
    await page.getByRole('button', { name: 'SELECT count(*) FROM item' }).click()
    await page.getByText('on all shards', { exact: true }).waitFor()
  })

  it('a statement is canceled, after a question', async () => {
    const client = await connectTo(url)
    const pid = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number
    const sleeps = codeOf(client.query('SELECT pg_sleep(300)'))
    const page = await loggedIn(ADMIN)
    await page.getByRole('link', { name: 'Sessions' }).click()
    const cancel = page.getByRole('button', { name: `Cancel the statement of ${pid}` })
    await expect.poll(() => cancel.isEnabled()).toBe(true)
    await cancel.click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel statement' }).click()
    expect(await sleeps).toBe('57014')
    await page.getByText(`session ${pid}: canceled`).waitFor()
    await page.getByRole('link', { name: 'Audit' }).click()
    await page.getByRole('cell', { name: 'session.cancel' }).waitFor()
    await client.end()
  })

  it('a viewer sees sessions, and has no button; the API refuses, too', async () => {
    const client = await connectTo(url)
    const pid = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number
    const page = await loggedIn(VIEWER)
    await page.getByRole('link', { name: 'Sessions' }).click()
    await page.getByRole('cell', { name: String(pid) }).waitFor()
    expect(await page.getByRole('button', { name: /Cancel|End|Resolve/ }).count()).toBe(0)
    const headers = { authorization: `Bearer ${VIEWER}` }
    const response = await fetch(`${adminUrl}/api/sessions/${pid}/kill`, { method: 'POST', headers })
    expect(response.status).toBe(403)
    await client.end()
  })

  it('a shard dies, and comes back', async () => {
    const page = await loggedIn(ADMIN)
    await expect.poll(() => stateOf(page, 1).textContent()).toMatch(/up$/)
    const [, agent] = agents
    agent?.child.kill('SIGKILL')
    await agent?.finished
    await expect.poll(() => stateOf(page, 1).textContent()).toMatch(/down/)
    expect(await stateOf(page, 0).textContent()).toMatch(/up$/)
    agents[1] = startAgent(1)
    await expect.poll(() => stateOf(page, 1).textContent(), { timeout: 90_000 }).toMatch(/up$/)
  })

  it('keys are listed, and on a narrow screen nothing is wider than it', async () => {
    const page = await loggedIn(VIEWER)
    await page.setViewportSize({ width: 390, height: 844 })
    for (const name of [
      'Shards',
      'Tables',
      'Statements',
      'Sessions',
      'Transaction log',
      'Audit',
      'Settings',
    ]) {
      await page.getByRole('link', { name, exact: true }).click()
      await page.getByRole('heading', { name, level: 1 }).waitFor()
      expect(await page.evaluate('document.documentElement.scrollWidth'), name).toBeLessThanOrEqual(390)
    }
    await page.getByText('(hidden)').first().waitFor()
    expect(await page.content()).not.toContain(ADMIN)
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await expect.poll(() => page.getByRole('dialog').count()).toBe(0)
  })

  it('an agent tells of its own shards', async () => {
    const { adminUrl: agentUrl } = JSON.parse(await agents[0]!.line('{"event":"up"')) as { adminUrl: string }
    const page = await (await browser.newContext()).newPage()
    await page.goto(agentUrl)
    await logIn(page, VIEWER)
    await page.getByText('This is an agent').waitFor()
    await expect.poll(() => stateOf(page, 0).textContent()).toMatch(/up$/)
    expect(await page.getByRole('navigation').getByRole('link').allTextContents()).toEqual([
      'Overview',
      'Settings',
    ])
  })

  it('the node dies: it is said, and what was there stays', async () => {
    const page = await loggedIn(ADMIN)
    await expect.poll(() => stateOf(page, 0).textContent()).toMatch(/up$/)
    coordinator?.child.kill('SIGKILL')
    await page.getByText('No answer from this node since').waitFor()
    expect(await stateOf(page, 0).textContent()).toMatch(/up$/)
  })
})
