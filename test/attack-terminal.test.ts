/** A broker, or a directory behind it, that speaks to the terminal of whoever asks who they are. */
import {whoamiText} from '@prod/sdk/cli/whoami-cache'
import {expect, test} from 'vitest'
import {inertJson} from '../src/fast.ts'

const acting = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b]/
const evil = '\u001b]0;pwned\u0007\u009b31m\u202ex\r'
const who = {
  principal: {iss: `https://idp${evil}`, sub: evil, person: evil, name: `alice${evil}é`},
  groups: [evil],
  expiresAt: `2099-01-01 (${evil})`,
  loggedInAt: evil,
  grants: [
    {
      id: evil,
      state: 'active' as const,
      request: evil,
      principal: {iss: '', sub: '', person: '', name: ''},
      role: evil,
      provider: evil,
      startsAt: evil,
      expiresAt: evil,
      endedAt: null,
    },
  ],
  freeze: {all: false, by: evil, since: evil, reason: evil, lift: null},
}

test('TM-R1: what the fast answer of whoami writes as it is acts on no terminal, as text and as JSON', () => {
  for (const line of whoamiText(who, 'https://prod.example', new Date())) expect(line).not.toMatch(acting)
  const text = inertJson(who)
  expect(text).not.toMatch(acting)
  expect(JSON.parse(text)).toEqual(who)
})
