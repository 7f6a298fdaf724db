import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { credential, wireguardKey } from '../test-kit/keys.ts';
import {
  type Initialised,
  newInstallation,
  removeStateDirs,
  type ServingProcess,
  serving,
} from '../test-kit/processes.ts';

/** The onboarding of a device as a person does it on the documentation page: by clicking, in a real browser, offline. */

setDefaultTimeout(120_000);

const executablePath = Bun.which('chromium');
let made: Initialised;
let master: ServingProcess;
let browser: Browser;

beforeAll(async () => {
  if (executablePath === null) return;
  made = await newInstallation();
  master = await serving(made.stateDir);
  const nothingElse = '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1';
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', nothingElse] });
});

afterAll(async () => {
  if (executablePath === null) return;
  await browser.close();
  await master.end('SIGKILL');
  removeStateDirs();
});

/** Opens an operation on the page and presses "Try it out". */
async function tryOut(page: Page, tag: string, operationId: string) {
  const section = page.locator(`#operations-tag-${tag}`);
  if ((await section.getAttribute('data-is-open')) === 'false') await section.click();
  const operation = page.locator(`[id$="-${operationId}"].opblock`);
  await operation.locator('.opblock-summary-control').click();
  await operation.locator('.try-out__btn').click();
  return operation;
}

/** Fills in what is given, leaves the rest as the page has it, presses "Execute" and reads the answer. */
async function execute(
  page: Page,
  [tag, operationId]: [string, string],
  given: { parameters?: Record<string, string>; body?: (shown: Record<string, unknown>) => unknown },
) {
  const operation = await tryOut(page, tag, operationId);
  for (const [name, value] of Object.entries(given.parameters ?? {}))
    await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
  if (given.body !== undefined) {
    const text = operation.locator('textarea.body-param__text');
    await text.fill(JSON.stringify(given.body(JSON.parse(await text.inputValue()))));
  }
  await operation.locator('.btn.execute').click();
  const answer = operation.locator('.live-responses-table tbody tr.response');
  const status = (await answer.locator('.response-col_status').textContent()) ?? '';
  const body = (await answer.locator('.response-col_description pre').first().textContent()) ?? '';
  await operation.locator('.opblock-summary-control').click();
  return { status: Number.parseInt(status, 10), body: JSON.parse(body) };
}

/** The dialog behind the button "Authorize". */
async function authorise(page: Page, scheme: string, token: string): Promise<void> {
  await page.locator('.btn.authorize.unlocked, .btn.authorize.locked').first().click();
  const form = page.locator('.auth-container', { hasText: scheme });
  await form.locator('input').fill(token);
  await form.locator('button[type=submit]').click();
  await form.locator('button', { hasText: 'Logout' }).waitFor();
  await page.locator('.close-modal').click();
}

const name = 'a person can let in a device on /swagger by hand, without any other host';
test.skipIf(executablePath === null)(`${name} (needs root once, to install chromium)`, async () => {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    reducedMotion: 'reduce',
    viewport: { width: 900, height: 600 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const requested: string[] = [];
  const complaints: string[] = [];
  context.on('request', (request) => requested.push(request.url()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await context.route('**', (route) => {
    const { origin } = new URL(route.request().url());
    return origin === master.url ? route.continue() : route.abort();
  });

  await page.goto(`${master.url}/swagger`);
  await authorise(page, 'userToken', made.ownerToken);
  const user = await execute(page, ['Users', 'addUser'], { body: (shown) => ({ ...shown, email: 'ben@example.com' }) });
  expect(user).toMatchObject({
    status: 201,
    body: { email: 'ben@example.com', role: 'developer', permission: 'none' },
  });
  const issued = await execute(page, ['Codes', 'issueCode'], {
    parameters: { id: user.body.id },
    body: (shown) => shown,
  });
  expect(issued.status).toBe(201);
  const keys = { publicKey: wireguardKey(), credentialKey: (await credential()).x };
  const lease = await execute(page, ['Enrolment', 'redeemCode'], {
    body: (shown) => ({ ...shown, ...keys, code: issued.body.code }),
  });
  expect(lease.status).toBe(201);
  await authorise(page, 'enrolmentToken', lease.body.token);
  const { publicKey } = keys;
  const confirmed = await execute(page, ['Enrolment', 'confirmEnrolment'], {
    parameters: { id: lease.body.id },
    body: (shown) => ({ ...shown, publicKey, address: lease.body.address }),
  });
  expect(confirmed).toMatchObject({ status: 200, body: { deviceId: lease.body.id } });
  const devices = await execute(page, ['Devices', 'listDevices'], { parameters: { q: 'BEN@' } });
  expect(devices).toMatchObject({ status: 200, body: { items: [{ id: lease.body.id, publicKey }], total: 1 } });

  expect(complaints).toEqual([]);
  expect(requested.length).toBeGreaterThan(8);
  expect(requested.filter((url) => new URL(url).origin !== master.url && !url.startsWith('data:'))).toEqual([]);
  await context.close();
});
