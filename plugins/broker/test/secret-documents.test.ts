import {expect, test} from 'vitest'
import {createRedactor} from '../src/runs/redact.ts'

/** What is left of a text that comes in pieces of `size` bytes. */
function run(bytes: Buffer, size: number): string {
  const redactor = createRedactor()
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(redactor.push(bytes.subarray(at, at + size)))
  out.push(redactor.end())
  return Buffer.concat(out).toString()
}

const manifest = (secret: string): string => `---
# Source: web/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
data:
  level: info
---
apiVersion: v1
kind: Secret
metadata:
  name: web
  ownerReferences:
    - kind: SealedSecret
type: Opaque
data:
  db: ${secret}
stringData:
  note: |
    ${secret}
    ${secret}
---
apiVersion: v1
data:
  "db.main": ${secret} # before its kind
kind: Secret
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Secret
    data: { db: ${secret} }
  - apiVersion: v1
    kind: ConfigMap
    data:
      level: debug
---
kind: Deployment
spec:
  data: kept
`

test('TM-E9: of a manifest the values of Secrets are gone, however it is cut, and all else is there', () => {
  const secret = 'aHVudGVyMg=='
  const bytes = Buffer.from(manifest(secret))
  const whole = run(bytes, bytes.length)
  expect(whole).not.toContain(secret)
  for (const kept of [
    '  level: info\n',
    '  name: web\n',
    '  db: [redacted]\n',
    '  "db.main": [redacted]\nkind: Secret\n',
    '    data: [redacted]\n',
    '      level: debug\n',
    '  data: kept\n',
  ])
    expect(whole).toContain(kept)
  for (const size of [1, 3, 50]) expect(run(bytes, size)).toBe(whole)
})

test('TM-E9: the value of a Secret on a line longer than what is held back is gone too; lines of another text that say data stay', () => {
  const long = `apiVersion: v1\nkind: Secret\ndata:\n  db: ${'QUJD '.repeat(8000)}\n`
  expect(run(Buffer.from(long), 1000)).toBe('apiVersion: v1\nkind: Secret\ndata:\n  db: [redacted]\n')
  const events = 'data: {"n":1}\n\ndata:\n  more\n'
  expect(run(Buffer.from(events), 5)).toBe(events)
})
