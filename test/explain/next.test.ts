import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {explain} from '@prod/sdk/explain/explain'
import {templates} from '@prod/sdk/explain/next'
import {categories} from '@prod/sdk/explainer'
import {expect, test} from 'vitest'
import {explainers} from '../../plugins/explain/src/index.ts'
import {messages} from '../../plugins/explain/test/messages.ts'
import {typedCommands} from '../read-docs.ts'

const root = join(import.meta.dirname, '../..')
const all = [
  ...Object.values(templates).flatMap(each => each.flatMap(({command}) => command)),
  ...messages.flatMap(([text]) => explain(text, explainers).next.map(({command}) => command)),
]

test('every next command of ours exists, with these flags', () => {
  const lines = [...new Set(all.filter(line => line.startsWith('prod ')))]
  expect(lines.length).toBeGreaterThan(5)
  expect(typedCommands(root, `\`\`\`sh\n${lines.join('\n')}\n\`\`\``)).toEqual([])
})

/** What other tools may be told to do, as their own references write it. */
const known = [
  /^aws sts (get-caller-identity|decode-authorization-message --encoded-message \S+)$/,
  /^aws kms describe-key --key-id \S+$/,
  /^aws configure (list|set retry_mode adaptive)$/,
  /^aws iam list-mfa-devices$/,
  /^aws sso login( --profile \S+)?$/,
  /^aws ssm describe-instance-information( --filters Key=InstanceIds,Values=\S+)?$/,
  /^aws ecs list-clusters$/,
  /^gcloud compute instances list$/,
  /^gcloud auth (list|login|application-default login)$/,
  /^kubectl auth can-i (--list|\S+ \S+( --namespace \S+)?)$/,
  /^kubectl config current-context$/,
  /^vault (login|token lookup)$/,
  /^(ssh-add -l|docker login|date -u|az login|sudo -l)$/,
]

test('every next command of another tool is one of those that were looked up', () => {
  const others = [...new Set(all.filter(line => !line.startsWith('prod ')))]
  expect(others.filter(line => !known.some(form => form.test(line)))).toEqual([])
})

test('the identity at AWS is asked for only where AWS knows the caller, and a way leads to its end', () => {
  const typed = (text: string): string[] => explain(text, explainers).next.map(({command}) => command)
  expect(typed('remote: Permission to acme/infra.git denied to nina.')).toEqual(['prod roles'])
  expect(typed('pull access denied for acme/api, repository does not exist')).toEqual(['prod roles'])
  const aws =
    'unexpected status from HEAD request to https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/api/manifests/1: 403 Forbidden'
  expect(typed(aws)[0]).toBe('aws sts get-caller-identity')
  expect(explain('ssh: connect to host 10.0.0.7 port 22: Connection timed out', explainers).summary).toMatch(
    /^there is no connection to 10\.0\.0\.7:/,
  )
})

test('docs/explain.md has each category once, with its next commands', () => {
  const rows = [...readFileSync(join(root, 'docs/explain.md'), 'utf8').matchAll(/^\| `(\w+)` \| .+ \| (.+) \|$/gm)]
  expect(rows.map(([, category]) => category)).toEqual([...categories])
  for (const [, category, next = ''] of rows) {
    const told = [...next.matchAll(/`([^`]+)`/g)].map(([, command]) => command as string)
    const known = templates[category as keyof typeof templates].flatMap(({command}) => command)
    expect([category, told.filter(command => !known.some(one => one.startsWith(command)))]).toEqual([category, []])
    expect([category, told.length > 0]).toEqual([category, known.length > 0])
  }
})

const sample = process.env.PROD_DENIALS

test.runIf(sample)('on labelled messages, 97 of 100 categories and 95 of 100 fields are right', () => {
  const rows = readFileSync(sample as string, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as {text: string; label: Record<string, unknown>})
  const fields = ['principal', 'action', 'resource', 'role', 'encoded'] as const
  const answers = rows.map(({text, label}) => ({found: explain(text, explainers), label}))
  const right = answers.filter(({found, label}) => found.category === label.category).length
  const fieldsRight = answers.flatMap(({found, label}) => fields.filter(field => found[field] === label[field])).length
  expect(right / rows.length).toBeGreaterThanOrEqual(0.97)
  expect(fieldsRight / rows.length / fields.length).toBeGreaterThanOrEqual(0.95)
})
