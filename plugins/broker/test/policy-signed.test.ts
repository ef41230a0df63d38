import {generateKeyPairSync} from 'node:crypto'
import {chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {parseVerifierKey, verifierKey} from '@prod/sdk/log/note'
import {describe, expect, test, vi} from 'vitest'
import type {Finding} from '../src/catalog/finding.ts'
import {readConfig} from '../src/config.ts'
import {checkBundle} from '../src/policy/bundle.ts'
import {decideUse} from '../src/policy/decide.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {buildBundle, makePolicyKey, signBundle} from '../src/policy/sign.ts'
import {addSignature, readSignedText, writeSignedText} from '../src/policy/signed.ts'
import {readPolicyKeys, type SignedFile} from '../src/policy/source.ts'
import {writeStarter} from '../src/policy/starter.ts'
import {watchBundle} from '../src/policy/watch.ts'
import {prepareFolder, startCore} from './core.ts'
import {by, commandOf, writeFiles} from './policy-folder.ts'

type OnFinished = (fn: () => void) => void

const look = '@id("look")\npermit (principal in Group::"engineers", action == Action::"run", resource in Tool::"date");\n'
const lookTest =
  '- { principal: a, groups: [engineers], argv: [date], expect: allow }\n- { principal: m, groups: [], argv: [date], expect: deny }\n'
const lookTests = `${lookTest}- { principal: m, groups: [x], argv: [date], expect: deny }\n- { principal: m, groups: [engineers], argv: [date, x], expect: deny }\n`

/** Someone who writes policy, two who sign, and a place where a broker looks for it. */
async function company(onFinished: OnFinished) {
  const dir = mkdtempSync(join(tmpdir(), 'prod-signed-'))
  onFinished(() => rmSync(dir, {recursive: true, force: true}))
  const sources = join(dir, 'sources')
  await writeStarter(sources)
  rmSync(join(sources, 'policy/tests/start.yaml'))
  writeFiles(sources, {'policy/global/look.cedar': look, 'policy/tests/look.yaml': lookTests})
  const [ops, sec] = await Promise.all(['ops', 'sec'].map(name => makePolicyKey(join(dir, `${name}.key`), name)))
  const live = join(dir, 'live')
  mkdirSync(live)
  const file = join(live, 'policy.bundle')
  const sign = async (version: number, ...names: string[]) => {
    const made = await buildBundle({dir: sources, out: join(dir, 'new.bundle'), version, madeAt: '2026-03-01T08:00:00Z'})
    for (const name of names) await signBundle(made.file, join(dir, `${name}.key`))
    return readFileSync(made.file, 'utf8')
  }
  const put = (text: string) => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  const place: SignedFile = {
    file,
    keys: readPolicyKeys([ops as string, sec as string], 2),
    signatures: 2,
    kept: join(dir, 'kept.bundle'),
  }
  return {dir, sources, file, place, sign, put, keys: [ops as string, sec as string]}
}

const production = {development: false, now: () => new Date('2026-03-01T09:00:00Z')}
const findingsOf = async (place: SignedFile) => (await checkBundle({...place, ...production})).findings.map(({message}) => message)

describe('TM-G1: a signed bundle', () => {
  test('TM-G1: is the same bytes for the same files, version and time, and says the digest that policy check says', async ({
    onTestFinished,
  }) => {
    const {dir, sources, sign} = await company(onTestFinished)
    const text = await sign(7)
    expect(await sign(7)).toBe(text)
    cpSync(sources, join(dir, 'copy'), {recursive: true})
    const again = await buildBundle({dir: join(dir, 'copy'), out: dir, version: 7, madeAt: '2026-03-01T08:00:00Z'})
    expect(readFileSync(join(dir, 'policy.bundle'), 'utf8')).toBe(text)
    const folders = await checkBundle({catalogDir: join(sources, 'catalog'), policyDir: join(sources, 'policy'), development: false})
    expect(again).toMatchObject({version: 7, madeAt: '2026-03-01T08:00:00Z', digest: folders.digest})
    expect(readSignedText(text).manifest).toEqual({version: 7, madeAt: '2026-03-01T08:00:00Z', digest: folders.digest, files: again.files})
  })

  test('TM-G1: loads with enough signatures by different keys, and not with one too few, a foreign one or the same one twice', async ({
    onTestFinished,
  }) => {
    const {dir, place, sign, put} = await company(onTestFinished)
    put(await sign(1, 'ops', 'sec'))
    const {bundle, findings} = await checkBundle({...place, ...production})
    expect(findings).toEqual([])
    expect(bundle?.signed).toEqual({version: 1, madeAt: '2026-03-01T08:00:00Z', by: ['ops', 'sec']})

    put(await sign(1))
    expect(await findingsOf(place)).toEqual(['the bundle has 0 of 2 signatures that count'])
    put(await sign(1, 'ops'))
    expect(await findingsOf(place)).toEqual(['the bundle has 1 of 2 signatures that count (ops)'])
    put(await sign(1, 'ops', 'ops'))
    expect(await findingsOf(place)).toEqual(['the bundle has 1 of 2 signatures that count (ops)'])
    // another key under a trusted name
    rmSync(join(dir, 'sec.key'))
    await makePolicyKey(join(dir, 'sec.key'), 'sec')
    put(await sign(1, 'ops', 'sec'))
    expect(await findingsOf(place)).toEqual(['the bundle has 1 of 2 signatures that count (ops)'])
  })

  test('TM-G1: no edit of its file, and no signature over other bytes, leaves it loadable', async ({onTestFinished}) => {
    const {place, sign, put} = await company(onTestFinished)
    const text = await sign(3, 'ops', 'sec')
    const {note, files} = JSON.parse(text) as {note: string; files: Record<string, string>}
    const write = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`
    const wider = look.replace('in Tool::"date"', 'in Tool::"id"')
    const forged = writeSignedText(
      Object.entries({...files, 'policy/global/look.cedar': wider}).map(([name, content]) => ({
        name,
        text: content,
        bytes: Buffer.from(content),
      })),
      {version: 3, madeAt: '2026-03-01T08:00:00Z'},
    )
    const own = JSON.parse(forged) as {note: string}
    const signatures = note.slice(note.indexOf('\n\n'))
    const sorted = (more: Record<string, string>) =>
      Object.fromEntries(Object.entries({...files, ...more}).sort(([a], [b]) => (a < b ? -1 : 1)))
    const attacks: Record<string, string> = {
      'an edited rule': write({note, files: {...files, 'policy/global/look.cedar': wider}}),
      'an edited rule, the signatures of the true one': write({
        note: own.note + signatures.slice(1),
        files: sorted({'policy/global/look.cedar': wider}),
      }),
      'an extra file': write({note, files: sorted({'policy/global/more.cedar': look})}),
      'a file that is gone': write({
        note,
        files: Object.fromEntries(Object.entries(files).filter(([name]) => name !== 'policy/tests/look.yaml')),
      }),
      'a file out of place': write({note, files: sorted({'policy/../../x.cedar': look})}),
      'another version in the note': text.replace('version 3', 'version 4'),
      'another time in the note': text.replace('08:00:00Z', '08:30:00Z'),
      'a field of its own': write({note, files, more: true}),
      'two values for one key': text.replace('{\n', '{\n "note": "",\n'),
      'other white space': `${text} `,
      'half of it': text.slice(0, text.length / 2),
      nothing: '',
      'a list': '[]',
    }
    for (const [name, attack] of Object.entries(attacks)) {
      put(attack)
      expect(await findingsOf(place), name).toHaveLength(1)
    }
    put(text)
    expect(await findingsOf(place)).toEqual([])
  })

  test('TM-G1: is never read through a link, from a folder that is one, or where everybody may write', async ({onTestFinished}) => {
    const {dir, file, place, sign, put} = await company(onTestFinished)
    put(await sign(1, 'ops', 'sec'))
    chmodSync(file, 0o666)
    expect(await findingsOf(place)).toEqual([`${file} may be written by everybody`])
    chmodSync(file, 0o644)
    chmodSync(join(dir, 'live'), 0o777)
    expect(await findingsOf(place)).toEqual([`${file} is in a folder that everybody may write`])
    chmodSync(join(dir, 'live'), 0o755)
    symlinkSync(file, join(dir, 'link.bundle'))
    expect(await findingsOf({...place, file: join(dir, 'link.bundle')})).toEqual([`${join(dir, 'link.bundle')} is a symbolic link`])
    symlinkSync(join(dir, 'live'), join(dir, 'linked'))
    const through = join(dir, 'linked/policy.bundle')
    expect(await findingsOf({...place, file: through})).toEqual([`${through} is in a folder that is a symbolic link`])
    rmSync(file)
    expect(await findingsOf(place)).toEqual([`there is no file ${file}`])
  })

  test('TM-G1: the keys that count are the operator’s, one for each signer, and none of the broker’s own', async ({onTestFinished}) => {
    const {keys} = await company(onTestFinished)
    const broker = generateKeyPairSync('ed25519').privateKey
    const own = [parseVerifierKey(verifierKey('log', broker))]
    expect(() => readPolicyKeys([verifierKey('ops', broker)], 1, own)).toThrow('a key of this broker')
    expect(() => readPolicyKeys([keys[0] as string, keys[0] as string], 1)).toThrow('twice')
    expect(() => readPolicyKeys(keys, 3)).toThrow('policy.signatures is 3, of 2 keys')
    expect(() => readPolicyKeys(['ops+00000000+AAAA'], 1)).toThrow('is not an Ed25519 verifier key')
  })
})

async function follow(
  onFinished: OnFinished,
  made: Awaited<ReturnType<typeof company>>,
  more: {maxAgeSeconds?: number; now?: () => Date} = {},
) {
  const refusals: Finding[][] = []
  const aging: Bundle[] = []
  const watched = await watchBundle(
    {...made.place, ...production, ...more},
    {onSwap() {}, onRefused: findings => refusals.push(findings), onAging: bundle => aging.push(bundle)},
  )
  onFinished(() => watched.close())
  const until = (check: () => void) => vi.waitFor(check, {timeout: 120_000, interval: 10})
  return {watched, refusals, aging, until}
}

const change = (sources: string, name: string) => writeFiles(sources, {'policy/global/look.cedar': look.replace('look', name)})

test('TM-G1: a running broker goes forward only: what is older, or another of the same version, is refused and the bundle stays', async ({
  onTestFinished,
}) => {
  const made = await company(onTestFinished)
  const {place, sources, sign, put} = made
  const old = await sign(4, 'ops', 'sec')
  put(await sign(5, 'ops', 'sec'))
  const {watched, refusals, until} = await follow(onTestFinished, made)
  const first = watched.current()

  put(old)
  await until(() => expect(refusals).toHaveLength(1))
  expect(refusals[0]).toEqual([expect.objectContaining({message: 'the bundle has version 4, and 5 was loaded already'})])
  expect(watched.current()).toBe(first)

  change(sources, 'another')
  put(await sign(5, 'ops', 'sec'))
  await until(() => expect(refusals).toHaveLength(2))
  expect(refusals[1]).toEqual([expect.objectContaining({message: 'there was another bundle of version 5 already'})])
  expect(watched.current()).toBe(first)

  put(await sign(6, 'ops', 'sec'))
  await until(() => expect(watched.current().signed?.version).toBe(6))

  // the way back is forward: the old files, signed anew
  change(sources, 'look')
  put(await sign(7, 'ops', 'sec'))
  await until(() => expect(watched.current().signed?.version).toBe(7))
  expect(watched.current().digest).toBe(first.digest)

  // and a restart has not forgotten
  watched.close()
  put(old)
  const after = await follow(onTestFinished, made)
  expect(after.watched.current().signed?.version).toBe(7)
  expect(after.refusals).toHaveLength(1)
  expect(place.kept && readSignedText(readFileSync(place.kept, 'utf8')).manifest.version).toBe(7)
})

test('TM-G1: a start with a broken, unsigned or missing bundle takes the last good one and tells; with none, or one edited meanwhile, it does not start', async ({
  onTestFinished,
}) => {
  const made = await company(onTestFinished)
  const {place, file, sign, put} = made
  put(await sign(5, 'ops', 'sec'))
  ;(await follow(onTestFinished, made)).watched.close()

  const unsigned = await sign(6, 'ops')
  for (const spoil of [() => put('{'), () => put(unsigned), () => rmSync(file)]) {
    spoil()
    const {watched, refusals} = await follow(onTestFinished, made)
    expect(watched.current().signed?.version).toBe(5)
    expect(refusals).toHaveLength(1)
    watched.close()
  }
  const kept = readFileSync(place.kept as string, 'utf8')
  writeFileSync(place.kept as string, kept.replace('Tool::\\"date\\"', 'Tool::\\"id\\"'))
  await expect(follow(onTestFinished, made)).rejects.toMatchObject({code: 'POLICY_INVALID'})
  put(await sign(6, 'ops', 'sec'))
  await expect(follow(onTestFinished, made), 'the memory of what was loaded is never just overwritten').rejects.toMatchObject({
    code: 'POLICY_INVALID',
  })
  rmSync(place.kept as string)
  rmSync(file)
  await expect(follow(onTestFinished, made)).rejects.toMatchObject({code: 'POLICY_INVALID'})
})

test('TM-G1: under a bundle past its age only reading is allowed; half way there it is told once; without an age it never ends', async ({
  onTestFinished,
}) => {
  const made = await company(onTestFinished)
  const {sources, sign, put} = made
  writeFiles(sources, {
    'catalog/tools/flag.yaml':
      'kind: Tool\nname: flag\nsummary: set a flag\nprogram: /usr/bin/true\nrun: { primitive: host, target: local, as: nobody }\ncommands:\n  - { path: [set], class: change }\n',
    'policy/global/flag.cedar': '@id("flag")\npermit (principal in Group::"engineers", action == Action::"run", resource is flag::set);\n',
    'policy/tests/flag.yaml': '- { principal: a, groups: [engineers], argv: [flag, set], expect: allow }\n'.concat(
      ...['[]', '[guests]', '[security]'].map(groups => `- { principal: a, groups: ${groups}, argv: [flag, set], expect: deny }\n`),
    ),
  })
  put(await sign(1, 'ops', 'sec'))
  let hours = 1
  const now = () => new Date(Date.parse('2026-03-01T08:00:00Z') + hours * 3_600_000)
  const {watched, aging, until} = await follow(onTestFinished, made, {maxAgeSeconds: 24 * 3600, now})
  const decide = (...argv: string[]) => {
    const bundle = watched.current()
    return decideUse(bundle, {...by('a', 'engineers'), resource: commandOf(bundle, argv), context: {}}, 'run')
  }
  expect([decide('date').decision, decide('flag', 'set').decision, aging]).toEqual(['allow', 'allow', []])
  hours = 13
  await until(() => expect(aging).toEqual([watched.current()]))
  expect(decide('flag', 'set').decision).toBe('allow')
  hours = 24
  expect(decide('date').decision).toBe('allow')
  expect(decide('flag', 'set')).toEqual({decision: 'deny', rules: ['policy.maxAgeHours'], errors: [], why: 'forbidden'})
  watched.close()
  const forever = await follow(onTestFinished, made, {now})
  hours = 100_000
  const bundle = forever.watched.current()
  expect(decideUse(bundle, {...by('a', 'engineers'), resource: commandOf(bundle, ['flag', 'set']), context: {}}, 'run').decision).toBe(
    'allow',
  )
})

test('a bundle is built only from files that a broker would load, signed only with a key that is a secret, and a signature is added once', async ({
  onTestFinished,
}) => {
  const {dir, sources, sign} = await company(onTestFinished)
  const text = await sign(1, 'ops')
  await signBundle(join(dir, 'new.bundle'), join(dir, 'ops.key'))
  expect(readFileSync(join(dir, 'new.bundle'), 'utf8')).toBe(text)
  expect(() =>
    addSignature(text.replace('engineers', 'everybody'), {name: 'x', privateKey: generateKeyPairSync('ed25519').privateKey}),
  ).toThrow('not those that its note names')
  chmodSync(join(dir, 'ops.key'), 0o644)
  await expect(signBundle(join(dir, 'new.bundle'), join(dir, 'ops.key'))).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  await expect(makePolicyKey(join(dir, 'ops.key'), 'ops')).rejects.toMatchObject({code: 'USAGE'})
  writeFiles(sources, {'policy/global/odd.cedar': 'permit (principal'})
  await expect(sign(2)).rejects.toMatchObject({code: 'POLICY_INVALID'})
})

test('TM-G1: TM-G5: a configuration names either a signed bundle or two folders, and says what to type if neither', async ({
  onTestFinished,
}) => {
  const {dir, keys} = await company(onTestFinished)
  const rest = `dir: data
origin: https://prod.example.com
identity: {kind: oidc, issuer: "https://id.example", clientId: prod, personClaim: person}
channels: [{name: a, notifier: webhook, config: {}}, {name: b, notifier: webhook, config: {}}]
alertChannels: [a, b]
places: [10.0.0.0/8]
recordingRecipients: [age1x]
`
  const read = (more: string) => {
    writeFileSync(join(dir, 'broker.yaml'), rest + more, {mode: 0o600})
    return readConfig(join(dir, 'broker.yaml'))
  }
  expect((await read(`policy: {bundle: live/policy.bundle, keys: ["${keys[0]}"]}\n`)).policy).toEqual({
    bundle: join(dir, 'live/policy.bundle'),
    keys: [keys[0]],
    signatures: 1,
    maxAgeHours: null,
  })
  expect(await read('catalogDir: catalog\npolicyDir: policy\n')).toMatchObject({catalogDir: join(dir, 'catalog'), policy: null})
  for (const none of ['', 'catalogDir: catalog\n', `policy: {bundle: x, keys: ["${keys[0]}"]}\npolicyDir: policy\n`])
    await expect(read(none)).rejects.toMatchObject({code: 'CONFIG_INVALID', hint: 'prod policy build --dir DIR --out FILE'})
})

test('TM-G1: a broker on a signed bundle says so in its log, takes a newer one, and an unsigned one is an alarm and a record', async ({
  onTestFinished,
}) => {
  const made = await company(onTestFinished)
  writeFiles(made.sources, {
    'policy/global/audit.cedar':
      '@id("audit")\npermit (principal in Group::"security", action == Action::"readAudit", resource == Log::"audit");\n',
    'policy/tests/audit.yaml': '- { principal: carol, groups: [security], action: readAudit, expect: allow }\n',
  })
  made.put(await made.sign(1, 'ops', 'sec'))
  const policy = {bundle: made.file, keys: made.keys, signatures: 2, maxAgeHours: null}
  const core = await startCore(onTestFinished, {settings: {policy}})
  const loaded = async (type: string) => (await core.events(type)).map(({data}) => data)
  expect(await loaded('broker.started')).toMatchObject([{signed: {version: 1, by: ['ops', 'sec']}, configBefore: null}])
  change(made.sources, 'newer')
  made.put(await made.sign(2, 'ops', 'sec'))
  await vi.waitFor(async () => expect(await loaded('bundle.loaded')).toMatchObject([{signed: {version: 2}}]), {timeout: 120_000})
  made.put(await made.sign(3, 'ops'))
  await vi.waitFor(async () => expect(await loaded('bundle.refused')).toHaveLength(1), {timeout: 120_000})
  expect(core.alarms.at(-1)).toMatchObject({
    what: 'a changed bundle was refused; the old one stays',
    findings: [expect.stringContaining('1 of 2 signatures')],
  })
  const carol = await core.as('carol')
  expect((await carol.client.call(api.doctor)).checks).toContainEqual(
    expect.objectContaining({name: 'bundle', detail: expect.stringContaining('version 2 signed by ops, sec')}),
  )
})

test('TM-G1: a broker whose own copy of the bundle is gone still goes forward only: the log knows what was loaded', async ({
  onTestFinished,
}) => {
  const made = await company(onTestFinished)
  const [one, two] = [await made.sign(1, 'ops', 'sec'), await made.sign(2, 'ops', 'sec')]
  const settings = {policy: {bundle: made.file, keys: made.keys, signatures: 2, maxAgeHours: null}}
  const dir = join(made.dir, 'broker')
  mkdirSync(dir)
  await prepareFolder(dir)
  made.put(two)
  const core = await startCore(onTestFinished, {dir, settings})
  const kept = join(dir, 'policy.bundle')
  rmSync(kept)
  made.put(one)
  await vi.waitFor(() => expect(core.alarms.at(-1)?.what).toBe('a changed bundle was refused; the old one stays'), {timeout: 120_000})
  await core.stop()
  made.put(one)
  await expect(startCore(onTestFinished, {dir, settings})).rejects.toThrow('has version 1, and 2 was loaded already')
  // neither does an older copy in its place
  writeFileSync(kept, one)
  await expect(startCore(onTestFinished, {dir, settings})).rejects.toThrow('has version 1, and 2 was loaded already')
  rmSync(kept)
  made.put(two)
  await (await startCore(onTestFinished, {dir, settings})).stop()
})
