/** docs/aws-sessions.md against what it tells of: its examples load, its policies allow what is needed, its table is the preflight's. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {primitive as bastions} from '@prod/ec2-instance-connect'
import {primitive as containers} from '@prod/ecs'
import type {Primitive, Use} from '@prod/sdk'
import {primitives} from '@prod/ssm'
import {expect, test} from 'vitest'
import {loadCatalog} from '../plugins/broker/src/catalog/load.ts'
import {checkCommand} from '../plugins/ssm/src/documents.ts'
import {causes} from '../plugins/ssm/src/preflight.ts'

const page = readFileSync(join(import.meta.dirname, '../docs/aws-sessions.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, text]) => (of === language ? [text as string] : []))
const policies = blocks('json').map(
  text => JSON.parse(text) as {Statement?: {Sid?: string; Action: string | string[]; Resource: string | string[]}[]},
)

test('its catalog loads as it stands there', async () => {
  const files = blocks('yaml').flatMap(text => {
    const [, name] = /^# (catalog\/\S+)\n/.exec(text) ?? []
    return name ? [{name, text, bytes: Buffer.from(text)}] : []
  })
  expect(files.length).toBeGreaterThan(6)
  const findings: unknown[] = []
  const missing = (name: string) =>
    `kind: Role\nname: ${name}\nsummary: of the example\nprovider: aws-sts\nparameters: {}\nmaxSeconds: 3600\n`
  const roles = ['fleet', 'automation-starter'].map(name => ({
    name: `catalog/roles/${name}.yaml`,
    text: missing(name),
    bytes: Buffer.from(''),
  }))
  const catalog = await loadCatalog(
    [...files, ...roles],
    {primitives: new Map<string, Primitive>([...primitives, containers, bastions].map(one => [one.id, one]))},
    findings as never[],
  )
  expect(findings).toEqual([])
  expect([...catalog.targets.keys()].sort()).toEqual(['bastion', 'mail', 'restart-instance', 'shop', 'web-1', 'web-fleet'])
})

test('the policy of the role allows what a use of its instances needs, and Terraform says the same', () => {
  const [, role] = policies
  const allowed = (role?.Statement ?? []).flatMap(({Action}) => Action)
  const [ssm] = primitives
  const limits = {wallSeconds: 1, cpuSeconds: 1, memoryBytes: 1, processes: 1, fileBytes: 1, outputBytes: 1}
  const target = ssm?.parse('eu-west-1/i-0a1b2c3d4e5f67890?account=111122223333&tag:Role=web')
  const uses: Use[] = [
    {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits},
    {kind: 'exec', program: {path: '/usr/bin/df'}, argv: ['df'], env: {}, limits, stdin: false},
    {kind: 'forward', to: {host: 'localhost', port: 5432}},
  ]
  const needed = uses.flatMap(use => ssm?.permissions(target, use) ?? []).flatMap(({actions}) => actions)
  expect([...new Set(allowed)].sort()).toEqual([...new Set(needed)].sort())
  const terraform = blocks('hcl').join('\n')
  for (const {Sid} of role?.Statement ?? []) expect(terraform).toContain(`"${Sid}"`)
  for (const action of new Set(allowed)) expect(terraform).toContain(`"${action}"`)
  for (const [open, close] of ['{}', '[]', '()'])
    expect(terraform.split(open as string).length).toBe(terraform.split(close as string).length)
})

test('the document it shows is one that programs can be run by', () => {
  const [document] = policies
  expect(() => checkCommand('Prod-RunCommand', document as never)).not.toThrow()
})

test('its troubleshooting table is what the preflight says', () => {
  const [, chapter = ''] = page.split('## Troubleshooting')
  const rows = [...(chapter.split('\n## ')[0] ?? '').matchAll(/^\| (.+) \| (.+) \|$/gm)].map(([, what, mend]) => ({what, mend}))
  expect(rows.slice(2)).toEqual(Object.values(causes))
})
