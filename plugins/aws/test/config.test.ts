import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {type AwsConfig, readAwsConfig} from '../src/config/files.ts'
import {parseIni} from '../src/config/ini.ts'
import {chainOf, describeChain, sessionPortal} from '../src/config/profile.ts'

function read(onTestFinished: (finish: () => void) => void, config: string, credentials = ''): AwsConfig {
  const folder = mkdtempSync(join(tmpdir(), 'prod-aws-config-'))
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}))
  writeFileSync(join(folder, 'config'), config)
  writeFileSync(join(folder, 'credentials'), credentials)
  return readAwsConfig({HOME: folder, AWS_CONFIG_FILE: join(folder, 'config'), AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials')})
}

const keys = 'aws_access_key_id = AKIAX\naws_secret_access_key = s3cret\n'

test('a byte order mark, Windows line ends, comments and unknown keys change nothing', () => {
  const text =
    '\ufeff[default]\r\nregion = eu-west-1 # near\r\n; a line\r\n\r\n[profile  "two words"]\r\nrole_arn=arn:x=y\r\nmystery = 1\r\n'
  expect(parseIni(text).map(({name, keys}) => [name, Object.fromEntries(keys)])).toEqual([
    ['default', {region: 'eu-west-1'}],
    ['profile two words', {role_arn: 'arn:x=y', mystery: '1'}],
  ])
})

test('nested settings belong to their key, and the next plain key ends them', () => {
  const [section] = parseIni(
    '[services dev]\nsso =\n  endpoint_url = http://127.0.0.1:1\nsts =\n\tendpoint_url = http://127.0.0.1:2\nregion = x\n',
  )
  expect(Object.fromEntries(section?.keys ?? [])).toEqual({
    'sso.endpoint_url': 'http://127.0.0.1:1',
    'sts.endpoint_url': 'http://127.0.0.1:2',
    region: 'x',
  })
})

test('no text makes the reader fail, and names like __proto__ are names', () => {
  expect(Object.fromEntries(parseIni('[__proto__]\nconstructor = 1\n')[0]?.keys ?? [])).toEqual({constructor: '1'})
  fc.assert(fc.property(fc.string({unit: 'binary', maxLength: 200}), text => Array.isArray(parseIni(text))))
  fc.assert(
    fc.property(fc.array(fc.constantFrom('[', ']', '=', ' ', '#', '\n', '\r', 'a', 'profile ', '"', ';')), parts =>
      Array.isArray(parseIni(parts.join(''))),
    ),
  )
})

test('the credentials file comes before the config file, key by key', ({onTestFinished}) => {
  const {profiles} = read(onTestFinished, `[profile a]\nregion = r\naws_access_key_id = OLD\n`, `[a]\n${keys}`)
  expect(Object.fromEntries(profiles.get('a') ?? [])).toEqual({region: 'r', aws_access_key_id: 'AKIAX', aws_secret_access_key: 's3cret'})
})

test('a chain begins at its source and ends at the role that was named', ({onTestFinished}) => {
  const config = read(
    onTestFinished,
    `[profile base]\n${keys}[profile mid]\nrole_arn = arn:aws:iam::111111111111:role/mid\nsource_profile = base\n[profile top]\nrole_arn = arn:aws:iam::222222222222:role/path/top\nsource_profile = mid\nmfa_serial = arn:aws:iam::111111111111:mfa/me\n`,
  )
  const chain = chainOf(config, 'top')
  expect(chain.source).toMatchObject({kind: 'keys', profile: 'base'})
  expect(chain.steps.map(({profile}) => profile)).toEqual(['mid', 'top'])
  expect(describeChain(chain)).toBe('role top in 222222222222, through keys of base, with MFA')
})

test('a profile may be its own source when it has keys', ({onTestFinished}) => {
  const config = read(onTestFinished, `[profile own]\n${keys}role_arn = arn:aws:iam::111111111111:role/r\nsource_profile = own\n`)
  expect(chainOf(config, 'own')).toMatchObject({source: {kind: 'keys', profile: 'own'}, steps: [{profile: 'own'}]})
})

test.for([
  [
    'a circle of two',
    '[profile a]\nrole_arn = x\nsource_profile = b\n[profile b]\nrole_arn = y\nsource_profile = a\n',
    /goes in a circle: a → b → a$/,
  ],
  ['a circle of one', '[profile a]\nrole_arn = x\nsource_profile = a\n', /goes in a circle: a → a$/],
  ['a source that is not there', '[profile a]\nrole_arn = x\nsource_profile = b\n', /its source_profile b is not there$/],
  ['a role without a source', '[profile a]\nrole_arn = x\n', /role_arn needs source_profile or credential_source$/],
  ['nothing at all', '[profile a]\nregion = x\n', /it names no credentials$/],
  [
    'both ways at once',
    '[profile a]\nrole_arn = x\nsource_profile = b\ncredential_source = Environment\n[profile b]\n',
    /both source_profile and credential_source$/,
  ],
  ['a session that is not there', '[profile a]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n', /no \[sso-session s\]$/],
  ['half a role of a portal', '[profile a]\nsso_session = s\nsso_account_id = 1\n', /sso_account_id and sso_role_name belong together$/],
  [
    'a duration that is none',
    '[profile a]\nrole_arn = x\nsource_profile = b\nduration_seconds = 1h\n[profile b]\n',
    /duration_seconds is 1h/,
  ],
] as const)('%s is said, and the rest of the list stands', ([, text, fault], {onTestFinished}) => {
  const config = read(onTestFinished, text)
  expect(() => chainOf(config, 'a')).toThrow(fault)
  expect(() => chainOf(config, 'a')).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
})

test('a chain of endless length ends', ({onTestFinished}) => {
  const text = Array.from({length: 100}, (_, at) => `[profile p${at}]\nrole_arn = x\nsource_profile = p${at + 1}\n`).join('')
  expect(() => chainOf(read(onTestFinished, text), 'p0')).toThrow(/longer than 20/)
})

test.skipIf(process.getuid?.() === 0)('a file that cannot be read is said, and the other one counts', ({onTestFinished}) => {
  const config = read(onTestFinished, '', `[a]\n${keys}`)
  chmodSync(config.paths.config, 0)
  const again = readAwsConfig({AWS_CONFIG_FILE: config.paths.config, AWS_SHARED_CREDENTIALS_FILE: config.paths.credentials})
  expect(again.faults).toEqual([`${config.paths.config} cannot be read (EACCES)`])
  expect([...again.profiles.keys()]).toEqual(['a'])
})

test('a folder where a file should be is said, and the other one counts', ({onTestFinished}) => {
  const {paths} = read(onTestFinished, '', `[a]\n${keys}`)
  const again = readAwsConfig({AWS_CONFIG_FILE: join(paths.config, '..'), AWS_SHARED_CREDENTIALS_FILE: paths.credentials})
  expect(again.faults).toEqual([expect.stringMatching(/cannot be read \(EISDIR\)$/)])
  expect([...again.profiles.keys()]).toEqual(['a'])
})

const session = (lines: string): string => `[sso-session s]\n${lines}`
test('TM-Q6: start URL, region and endpoints come from the configuration alone, over https', ({onTestFinished}) => {
  const good = read(onTestFinished, session('sso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n'))
  process.env.AWS_ENDPOINT_URL_SSO = 'http://127.0.0.1:1'
  process.env.AWS_SSO_START_URL = 'https://evil.example'
  onTestFinished(() => {
    delete process.env.AWS_ENDPOINT_URL_SSO
    delete process.env.AWS_SSO_START_URL
  })
  expect(sessionPortal(good, 's')).toMatchObject({
    startUrl: 'https://corp.awsapps.com/start',
    portalEndpoint: 'https://portal.sso.eu-central-1.amazonaws.com',
    oidcEndpoint: 'https://oidc.eu-central-1.amazonaws.com',
  })
  for (const [lines, fault] of [
    ['sso_start_url = http://corp.example/start\nsso_region = eu-central-1\n', /is not https/],
    ['sso_start_url = https://corp.example@evil.example/\nsso_region = eu-central-1\n', /is not https/],
    ['sso_region = eu-central-1\n', /sso_start_url is missing/],
    ['sso_start_url = https://corp.example/start\nsso_region = evil.example/#\n', /is no region/],
    ['sso_start_url = https://corp.example/start\n', /sso_region is missing/],
    [
      'sso_start_url = https://corp.example/start\nsso_region = eu-central-1\nservices = d\n[services d]\nsso =\n  endpoint_url = http://10.0.0.1\n',
      /endpoint http:\/\/10.0.0.1 is not https/,
    ],
  ] as const) {
    expect(() => sessionPortal(read(onTestFinished, session(lines)), 's')).toThrow(fault)
  }
})
