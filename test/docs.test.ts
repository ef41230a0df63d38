import {existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {codes, type ErrorCode} from '@prod/sdk/errors'
import {checkReason} from '@prod/sdk/reason'
import {expect, onTestFinished, test} from 'vitest'
import {configSchema, readConfig} from '../plugins/broker/src/config.ts'
import {pages, typedCommands} from './read-docs.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

const page = readFileSync(join(import.meta.dirname, '../docs/errors.md'), 'utf8')

/** Each row of the page's tables of codes, with the exit status of its chapter. */
const rows = page.split(/^## /m).flatMap(chapter => {
  const exit = Number(/^(\d{3}): /.exec(chapter)?.[1])
  return [...chapter.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+?) \| (.+?) \|$/gm)].map(([, code, status, means, mend]) => ({
    code: code as ErrorCode,
    exit,
    status: Number(status),
    means,
    mend,
  }))
})

test('docs/errors.md has each code of errors.ts once, and no other', () => {
  expect(rows.map(row => row.code).sort()).toEqual(Object.keys(codes).sort())
})

test('docs/errors.md says the exit status and the HTTP status that errors.ts has', () => {
  for (const {code, exit, status} of rows) expect({code, exit, status}).toEqual({code, ...codes[code]})
})

test('docs/errors.md says of each code what is so and what to do', () => {
  for (const {code, means, mend} of rows) {
    expect(means?.length, code).toBeGreaterThan(10)
    expect(mend?.length, code).toBeGreaterThan(3)
  }
})

test('every link from one page to another leads to a file and a heading', () => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-')
  const lost = pages(root).flatMap(({path, text}) =>
    [...text.replace(/^```.*?^```$/gms, '').matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
      const [file = '', heading] = (link as string).split('#')
      if (/^[a-z]+:/.test(file)) return []
      const to = file === '' ? path : join(dirname(path), file)
      if (!existsSync(join(root, to))) return [`${path}: ${link}`]
      const headings = [...read(to).matchAll(/^#+ (.+)$/gm)].map(([, words]) => slug(words as string))
      return heading === undefined || headings.includes(heading) ? [] : [`${path}: ${link}`]
    }),
  )
  expect(lost).toEqual([])
})

test('every file of ours that a page names is there', () => {
  const files = globSync('{bin,docs,plugins,src,test}/**/*.{ts,mjs,js,md,json,yaml,cedar,sh}', {
    cwd: root,
    exclude: ['**/node_modules/**', '**/dist/**'],
  })
  const known = [...files, ...globSync('*', {cwd: root})].map(file => `/${file}`)
  const lost = pages(root).flatMap(({path, text}) =>
    [...text.replace(/^```.*?^```$/gms, '').matchAll(/`([a-z][\w./-]*\.(?:ts|mjs|js))`|\b(docs\/[\w./-]+\.md|adr\/\d{4})\b/g)].flatMap(
      ([, code, page]) => {
        const name = code ?? (page as string)
        if (path === 'docs/plugins.md' && /^(src|test)\//.test(name)) return [] // of the plugin that is being written
        return known.some(file => (code ? file.endsWith(`/${name}`) : file.includes(`/${name}`))) ? [] : [`${path}: ${name}`]
      },
    ),
  )
  expect(lost).toEqual([])
})

test('every command that a page shows exists, with these flags and not more words than it takes', () => {
  const wrong = pages(root).flatMap(({path, text}) => typedCommands(root, text).map(({line, fault}) => `${path}: ${line}: ${fault}`))
  expect(wrong).toEqual([])
})

test('docs/operating.md has every key of the configuration, and its example loads', async () => {
  const text = read('docs/operating.md')
  const names = (schema: object, above = ''): string[] =>
    Object.entries((schema as {properties?: Record<string, object>}).properties ?? {}).flatMap(([name, inner]) => [
      above + name,
      ...names(inner, `${above}${name}.`),
    ])
  const rows = [...text.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, cell]) => cell as string)
  const told = rows.flatMap(cell => {
    const all = [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
    return all.map(name => (name.startsWith('.') ? `${all[0]?.split('.')[0]}${name}` : name))
  })
  const keys = names(configSchema).filter(
    key => !/^(listen|tls|breakGlass|forward|retentionDays|store|policy)$/.test(key) && !key.startsWith('identity.'),
  )
  expect(keys.filter(key => !told.includes(key))).toEqual([])

  const example = /^## The configuration$.+?^```yaml\n(.+?)^```$/ms.exec(text)?.[1] as string
  const provider = names(configSchema).filter(key => key.startsWith('identity.') && key !== 'identity.kind')
  expect(provider.filter(key => !text.includes(key.slice('identity.'.length)))).toEqual([])
  const folder = mkdtempSync(join(tmpdir(), 'prod-docs-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  writeFileSync(join(folder, 'broker.yaml'), example, {mode: 0o600})
  expect((await readConfig(join(folder, 'broker.yaml'))).alertChannels).toEqual(['chat', 'pager'])
})

test('docs/operating.md has every alarm of the broker', () => {
  const text = read('docs/operating.md').replaceAll('\n', ' ')
  const raised = globSync('plugins/broker/src/**/*.ts', {cwd: root}).flatMap(file =>
    [...read(file).matchAll(/\balarm\((?:[^'()]+\? )?'([^']+)'(?: : '([^']+)')?/g)].flatMap(([, one, other]) => [one, other]),
  )
  const alarms = [...new Set(raised.filter(what => what !== undefined))]
  expect(alarms.length).toBeGreaterThan(10)
  expect(alarms.filter(what => !text.includes(what))).toEqual([])
})

test('each reason that a page or a help shows is one that is taken', () => {
  const commands = globSync(['src/commands/**/*.ts', 'plugins/*/src/commands/**/*.ts'], {cwd: root})
  const texts = [...pages(root).map(({text}) => text), ...commands.map(read)]
  const reasons = texts.flatMap(text => [...text.matchAll(/(?:--reason|-r)[ =]"([^"$…]+)"/g)].map(([, reason]) => reason as string))
  expect(reasons.length).toBeGreaterThan(30)
  for (const reason of reasons) expect(() => checkReason(reason), reason).not.toThrow()
})
