/** The part of the story that plays on an instance of AWS, with a stand-in for AWS: a real agent, a real shell, by the real protocol. */
import {mkdirSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import type {RealBroker, RealPerson} from '../e2e/broker.ts'
import type {StandInOptions} from '../sessions-stand-in/stand-in.ts'
import {must} from './check.ts'
import {beginAtTerminal, finish, part, run, tell, until} from './stage.ts'

/** AWS as the story has it: instances, and a role that may open sessions on them. */
export const awsOfTheStory: StandInOptions = {
  region: 'us-east-1',
  agent: {outputDelayMs: 0, pieceDelayMs: 0},
  roles: {operator: {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}},
}

const files = {
  'catalog/roles/instances.yaml': `kind: Role
name: instances
summary: sessions on instances
provider: aws-sts
parameters: { account: '111122223333', role: operator, regions: [us-east-1] }
class: change
maxSeconds: 3600
`,
  'catalog/targets/web-1.yaml': `kind: Target
name: web-1
address: ssm:us-east-1/i-0a1b2c3d4e5f60001?exec=Prod-RunCommand&tag:Name=web-1
environment: production
role: instances
`,
  'catalog/tools/find-text.yaml': `kind: Tool
name: find-text
summary: lines of a file that have a word
program: /usr/bin/grep
run: { primitive: ssm, target: web-1 }
class: read
commands:
  - { path: [], options: { -c: flag }, operands: [{ name: word, type: { type: string, maxLength: 100 } }, { name: file, type: { type: enum, values: [/etc/passwd] } }] }
`,
  'policy/global/instances.cedar': `@id("find-text")
permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"find-text");
@id("web-1-shell")
permit (principal in Group::"engineers", action == Action::"shell", resource == Target::"web-1");
`,
}

const reason = ['--reason', 'who can log in there']

/** A program and a shell on an instance. Throws StoryBroke. */
export async function awsPart({broker, alice}: {broker: RealBroker; alice: RealPerson}): Promise<void> {
  await part('6. An instance of AWS, without AWS’s plugin')
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(broker.dir, name)), {recursive: true})
    writeFileSync(join(broker.dir, name), text)
  }
  await tell('A target, a role, a tool and two rules: four files, taken as they are written. Here AWS is a stand-in on this machine.')
  await until('the instance in the catalog', async () =>
    (await alice.run(['tools', '--json'])).stdout.includes('find-text') ? true : undefined,
  )
  must(await run(alice, ['exec', ...reason, 'find-text', '-c', 'root', '/etc/passwd']), {status: 0, stdout: /^\d+$/m})
  await tell('The program’s own exit status comes from the instance: grep ends with 1 where nothing is found.')
  must(await run(alice, ['exec', ...reason, 'find-text', 'nobody-of-this-name', '/etc/passwd']), {status: 1, stdout: /^$/})
  await tell('A shell there, at a terminal.')
  const shell = await beginAtTerminal(alice, ['shell', 'web-1', ...reason])
  await shell.until(/ses_\w+ on web-1/)
  await shell.until(/[#$] $/)
  shell.press('echo "on the instance: $((6 * 7))"\r')
  await shell.until(/^on the instance: 42/m)
  shell.press('exit\r')
  must(await finish(shell), {status: 0})
}
