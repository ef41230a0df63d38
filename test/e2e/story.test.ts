import {spawn} from 'node:child_process'
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {collect} from './broker.ts'

const demo = join(import.meta.dirname, '../demo/demo.ts')

function startDemo() {
  const child = spawn(process.execPath, ['--conditions=source', demo], {stdio: ['pipe', 'pipe', 'pipe']})
  child.stdin.end()
  return child
}

/** The broker's folder and process, once the demo has told of them. */
const folderOf = (text: string): string | undefined => /--dir (\S+)/.exec(text)?.[1]

/** The lines of a page that are of a run: in blocks where somebody types at a prompt of their own. */
function transcriptOf(page: string): string[] {
  const blocks = page.split(/^```.*$/m).filter((_, index) => index % 2 === 1)
  return blocks.filter(block => /^\w+\$ prod /m.test(block)).flatMap(block => block.split('\n').filter(line => line !== '…'))
}

/** A line without what differs from run to run: ids, folders, digests, times, numbers, names of machines, widths of columns. */
function withoutChance(line: string): string {
  return line
    .replaceAll(/\b(req|run|ses|rev|grant|cor)_\w+/g, '$1_')
    .replaceAll(/\/\S*\/prod-\w+/g, '/prod-')
    .replaceAll(/\b[0-9a-f]{64}\b/g, '')
    .replaceAll(/\b(now|\d+s ago)\b/g, 'then')
    .replaceAll(/\S+@\S+:~# /g, '# ')
    .replaceAll(/\d+/g, '0')
    .replaceAll(/ +/g, ' ')
}

test('the whole story holds: login, approval, receipt, refusals, a role that ends, break-glass, a log that nobody alters unseen', async () => {
  const {status, stdout, stderr} = await collect(startDemo())
  expect({status, stderr}).toEqual({status: 0, stderr: ''})
  for (const line of [
    /^alice\$ prod exec --reason "the site answers slowly" --receipt \S+ web restart$/m,
    /^prod: waiting since \S+ for one of: bob$/m,
    /^prod: nobody approves their own request$/m,
    /^approved req_\w+ of alice$/m,
    /web-stop forbids it; the role web-operator would allow it$/m,
    /^prod: argument 3 of web: "10; reboot" is not a value of --lines/m,
    /^grant_\w+ +expired +web-operator +alice/m,
    /^type local to go on: local$/m,
    /^rev_\w+ of alice is done: ok$/m,
    /^THE LOG IS NOT WHOLE: record \d+ is the first bad one$/m,
    /^All of it held$/m,
  ]) {
    expect(stdout).toMatch(line)
  }
  expect(existsSync(folderOf(stdout) as string)).toBe(false)

  const printed = new Set(stdout.split('\n').map(withoutChance))
  for (const page of ['README.md', 'docs/transcript.md']) {
    const lines = transcriptOf(readFileSync(join(import.meta.dirname, '../..', page), 'utf8'))
    expect(lines.length).toBeGreaterThan(20)
    expect(
      lines.filter(line => !printed.has(withoutChance(line))),
      `lines of ${page} that the demo does not print`,
    ).toEqual([])
  }
}, 240_000)

test('Ctrl-C in the middle of the demo ends its broker and removes its folder', async () => {
  const child = startDemo()
  let text = ''
  child.stdout.on('data', (piece: Buffer) => {
    text += String(piece)
    if (text.includes('3. A change')) child.kill('SIGINT')
  })
  const {status} = await collect(child)
  const folder = folderOf(text) as string
  expect(status).toBe(130)
  expect(existsSync(join(folder, '..'))).toBe(false)
}, 240_000)
