import {expect, test} from 'vitest'
import {checkGrammar} from '../src/grammar/check.ts'
import type {ValueSpec} from '../src/grammar/grammar.ts'
import {parse} from '../src/grammar/parse.ts'
import {addArguments} from '../src/grammar/print.ts'
import {findTypeFault, testValue} from '../src/grammar/values.ts'

test('TM-H1: a type of resources is any but Secrets, in each spelling that kubectl resolves to them', () => {
  const takes = (value: string): boolean => testValue(value, 'kubernetes-type')
  for (const value of [
    'pods',
    'po',
    'Deployment',
    'deployments.v1.apps',
    'pods.v1.',
    'certificates.cert-manager.io',
    'externalsecrets',
    'all',
  ])
    expect(takes(value), value).toBe(true)
  for (const value of [
    'secret',
    'secrets',
    'SECRETS',
    'Secret',
    'secrets.',
    'secret.v1',
    'secrets.v1.',
    'Secret.v1.core',
    'SecretList',
    'pods/web',
    'pods,po',
    '',
    '.',
    '-f',
  ])
    expect(takes(value), value).toBe(false)
})

test('TM-H1: a template prints the fields it is given, and reaches no other by range, index or variable', () => {
  const spec: ValueSpec = {
    type: 'go-template',
    values: ['.State', '.RestartCount', '.NetworkSettings.Ports', '.NetworkSettings.Networks', '.IPAddress'],
  }
  const takes = (value: string): boolean => testValue(value, spec)
  for (const value of [
    'up since {{.State.StartedAt}}',
    '{{.State.Status}} {{.RestartCount}}',
    '{{ .State.Status }}\\n',
    '{{- .State.Status -}}',
    '{{json .State}}',
    '{{if .State.Running}}up{{else}}down{{end}}',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    '{{range $name, $conf := .NetworkSettings.Networks}}{{$name}}={{$conf.IPAddress}} {{end}}',
    '{{(index (index .NetworkSettings.Ports "8080/tcp") 0).HostPort}}',
    '{{(index .NetworkSettings.Networks "app-net").IPAddress}}',
  ])
    expect(takes(value), value).toBe(true)
  for (const value of [
    'json',
    'plain',
    '{{.}}',
    '{{json .}}',
    '{{.Config.Env}}',
    '{{json .Config}}',
    '{{.StateX}}',
    '{{range .Config.Env}}{{.State}}{{end}}',
    '{{$.Config.Env}}',
    '{{with $x := .Config}}{{$x.Env}}{{end}}',
    '{{with $x := .}}{{$x.Config.Env}}{{end}}',
    '{{index .Config.Env 0}}',
    '{{(index . "Config").Env}}',
    '{{index . "State"}}',
    '{{.State.Status | printf "%s" .Config.Env}}',
    '{{print .State .Config.Env}}',
    '{{/* x */}}',
    '{{template "x" .}}',
    '{{call .State}}',
    '{{.State',
    '{{{.State}}',
    '{{"}}"}}{{.Config.Env}}',
    '',
  ])
    expect(takes(value), value).toBe(false)
  expect(findTypeFault({type: 'go-template'})).toContain('values')
  expect(findTypeFault({type: 'go-template', values: ['.']})).toContain('values')
})

test('TM-H2: a capture filter holds words of its own language, numbers and addresses: no name that would be looked up', () => {
  const takes = (value: string): boolean => testValue(value, 'capture-filter')
  for (const value of [
    'tcp',
    'port',
    '443',
    'host 10.0.0.5 and port 443',
    'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0',
    'tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)',
    'net 10.0.0.0/8',
    'ip6 host 2001:db8::1',
    'ether host 02:42:ac:11:00:02',
    'portrange 8000-8010',
    '!(port 22)',
    'not port ssh',
    'ip proto \\tcp',
  ])
    expect(takes(value), value).toBe(true)
  for (const value of [
    'host attacker.example',
    'host secret',
    '-w',
    '-w /tmp/x',
    'port $(id)',
    'host 10.0.0.1; id',
    '/etc/shadow',
    'host "a"',
    '10.0.0.5\nport 1',
    '',
  ])
    expect(takes(value), value).toBe(false)
})

test('TM-H3: a value for the AWS CLI is what was typed, never what a file or an address holds', () => {
  const takes = (value: string): boolean => testValue(value, 'aws-value')
  for (const value of [
    'Name=tag:Name,Values=web-1,file-share',
    '[{"Name":"tag:mail","Values":["a@b.example"]}]',
    'arn:aws:ecs:eu-west-1:111122223333:cluster/prod',
    '/ecs/web',
    'a@b',
  ])
    expect(takes(value), value).toBe(true)
  for (const value of [
    'file:///etc/shadow',
    'fileb://x',
    'http://attacker.example',
    'https://a',
    'Name=x,Values@=file:///etc/shadow',
    'Values@ =file://a',
    '--profile',
    '-x',
    '',
  ])
    expect(takes(value), value).toBe(false)
})

test('an option that the broker adds and that was typed as well reaches the program once', () => {
  const grammar = checkGrammar(
    {
      options: {'-chdir': {value: {type: 'literal', value: '/srv/infra'}, attach: ['equals']}},
      commands: [{path: ['show'], class: 'read', operands: [{name: 'rest', type: {type: 'text'}, min: 0}], dashes: 'allowed'}],
    },
    'terraform',
  )
  const run = (argv: string[]): string[] => {
    const parsed = parse(grammar, argv)
    if (!parsed.ok) throw new Error(parsed.refusal.message)
    return addArguments(parsed.structure, ['-q'], ['-chdir=/srv/infra'])
  }
  expect(run(['terraform', 'show'])).toEqual(['terraform', '-chdir=/srv/infra', 'show', '-q'])
  expect(run(['terraform', '-chdir=/srv/infra', 'show'])).toEqual(['terraform', '-chdir=/srv/infra', 'show', '-q'])
  expect(run(['terraform', 'show', '--', '-chdir=/srv/infra'])[1]).toBe('-chdir=/srv/infra')
})
