import type {ApprovalDocument} from '@prod/sdk'
import {sealDocument} from '@prod/sdk/document'
import {expect, test} from 'vitest'
import {showDocument} from '../src/channel/document.ts'

const document: ApprovalDocument = {
  version: 1,
  request: 'req_00000000000000001',
  kind: 'exec',
  argv: ['unit', 'restart', 'web'],
  program: {path: '/usr/bin/systemctl', sha256: 'ab'.repeat(32)},
  env: {},
  cwd: null,
  stdin: null,
  tool: 'unit',
  class: 'change',
  runAs: 'ops',
  targets: [{name: 'local', address: 'host:local', environment: 'production'}],
  role: null,
  durationSeconds: 60,
  startAt: null,
  maxUses: 1,
  retention: 'full',
  limits: null,
  approvalsNeeded: 1,
  breakGlass: false,
  incident: null,
  requester: {iss: 'https://id.example', sub: 'a-1', person: 'alice', name: 'alice'},
  reason: 'the site answers slowly',
  bundle: 'cd'.repeat(32),
  createdAt: '2026-11-22T03:00:00.000Z',
}
const shown = (change: Partial<ApprovalDocument>) => {
  const {text, digest} = sealDocument({...document, ...change})
  return {...showDocument(text), sealed: digest}
}

test('TM-W6: what an approver is shown is complete: 5,000 characters and 4,000 arguments, each with its number, and the digest of these bytes', () => {
  const long = `${'x'.repeat(4990)}-the-end`
  const one = shown({argv: ['unit', 'restart', long]})
  expect(one.lines).toContain(`  argument 2: ${long}`)
  expect(one.digest).toBe(one.sealed)
  const many = Array.from({length: 4000}, (_, at) => `a${at}`)
  const {lines} = shown({argv: ['unit', ...many]})
  for (const [at, word] of many.entries()) expect(lines).toContain(`  argument ${at + 1}: ${word}`)
})

test('TM-W6: every field that says what happens stands there', () => {
  const all = shown({
    stdin: {bytes: 5, sha256: 'ef'.repeat(32)},
    incident: 'INC-7',
    env: {MODE: 'safe'},
    breakGlass: true,
    behind: [{tool: 'touch', argv: ['touch', '/dev/null'], program: {path: '/usr/bin/touch', sha256: '12'.repeat(32)}}],
    cwd: '/srv/app',
    needs: {network: true, processes: true, reads: ['/srv/app'], writes: ['/srv/out']},
    startAt: '2026-11-23T03:00:00.000Z',
  }).lines.join('\n')
  for (const text of [
    'ab'.repeat(32),
    'ef'.repeat(32),
    'cd'.repeat(32),
    'host:local',
    `behind it:    touch /dev/null (touch: /usr/bin/touch sha256:${'12'.repeat(32)})`,
    'starts in:    /srv/app',
    "may reach:    the network, the machine's processes, reads /srv/app, writes /srv/out",
    'production',
    'ops',
    'INC-7',
    'MODE=safe',
    'the site answers slowly',
    'a-1 at https://id.example',
    '2026-11-23',
    'YES',
  ])
    expect(all).toContain(text)
})

test('TM-W6: TM-R1: words of others cannot draw a line of their own', () => {
  const {lines} = shown({argv: ['unit', 'a\u001b[31m\r\u202eb', "a' 'b"], reason: 'line\nasked by: bob'})
  expect(lines.join('\n')).not.toMatch(/[\u001b\r\u202e]/)
  expect(
    lines
      .join('\n')
      .split('\n')
      .filter(line => line.startsWith('asked by:')),
  ).toEqual(['asked by:     alice (a-1 at https://id.example)'])
})
