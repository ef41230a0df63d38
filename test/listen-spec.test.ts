import fc from 'fast-check'
import {expect, test} from 'vitest'
import {isExposed, parseListen, parsePlace} from '../src/channel/listen-spec.ts'

test.each([
  ['5432', '127.0.0.1', 5432, 'localhost', 5432],
  ['8080:web.internal:80', '127.0.0.1', 8080, 'web.internal', 80],
  ['8080:WEB.Internal.:80', '127.0.0.1', 8080, 'web.internal', 80],
  ['0:db:5432', '127.0.0.1', 0, 'db', 5432],
  ['127.0.0.1:8080:db:80', '127.0.0.1', 8080, 'db', 80],
  ['localhost:8080:db:80', '127.0.0.1', 8080, 'db', 80],
  ['[::1]:8080:db:80', '::1', 8080, 'db', 80],
  ['8080:[2001:db8::1]:80', '127.0.0.1', 8080, '2001:db8::1', 80],
  ['[::1]:8080:[::1]:80', '::1', 8080, '::1', 80],
  ['8080:10.0.0.1:80', '127.0.0.1', 8080, '10.0.0.1', 80],
  ['0.0.0.0:8080:db:80', '0.0.0.0', 8080, 'db', 80],
  [':8080:db:80', '::', 8080, 'db', 80],
  ['*:8080:db:80', '::', 8080, 'db', 80],
  ['192.168.1.5:8080:db:80', '192.168.1.5', 8080, 'db', 80],
])('-L %s', (text, address, port, host, far) => expect(parseListen(text)).toEqual({listen: {host: address, port}, to: {host, port: far}}))

test.each([
  '',
  '0',
  '70000',
  '8080:80',
  '8080:db:',
  '8080:db:0',
  '8080:db:80:',
  '8080::80',
  ':8080',
  'x:db:80',
  '08:db:80',
  '-1:db:80',
  '8080:-oProxyCommand=x:80',
  '8080:127.1:80',
  '8080:db/x:80',
  '8080:[db]:80',
  '8080:[::1:80',
  '8080:::1:80',
  '::1:8080:db:80',
  'web.internal:8080:db:80',
  'abc:8080:db:80',
  'a:b:c:d:e',
  '8080:db:80 ',
  '/run/x.sock:db',
  '/run/x.sock:db:0',
  '/run/:db:80',
  '/run/x.sock:8080:db:80',
  `/${'x'.repeat(103)}:db:80`,
  '/run/x.sock',
  '8080:/run/x.sock',
])('-L %j is refused, with an example', text =>
  expect(() => parseListen(text)).toThrow(expect.objectContaining({code: 'USAGE', hint: expect.stringContaining('-L 8080:localhost:80')})),
)

test.each([
  ['22', 'localhost', 22],
  ['db.internal:5432', 'db.internal', 5432],
  ['[::1]:22', '::1', 22],
])('--stdio %s', (text, host, port) => expect(parsePlace(text)).toEqual({host, port}))

test.each([
  ['/run/x.sock:db:80', '/run/x.sock', 'db', 80],
  ['./db.sock:[::1]:5432', './db.sock', '::1', 5432],
  ['a/b c.sock:db.Internal:5432', 'a/b c.sock', 'db.internal', 5432],
])('-L %s is a socket here', (text, path, host, port) => {
  expect(parseListen(text)).toEqual({listen: {path}, to: {host, port}})
  expect(isExposed(parseListen(text))).toBe(false)
})

test.each(['', '0', 'db', ':22', 'db:0', 'a:b:22', '::1:22'])('--stdio %j is refused', text =>
  expect(() => parsePlace(text)).toThrow(expect.objectContaining({code: 'USAGE'})),
)

test.each([
  ['8080:db:80', false],
  ['[::1]:8080:db:80', false],
  ['127.0.0.2:8080:db:80', false],
  ['0.0.0.0:8080:db:80', true],
  [':8080:db:80', true],
  ['192.168.1.5:8080:db:80', true],
])('other machines can come in at %s: %s', (text, exposed) => expect(isExposed(parseListen(text))).toBe(exposed))

test('whatever is written, it is read or refused with words', () => {
  const word = fc.constantFrom('', '0', '80', '65535', '65536', 'db', '::1', '[::1]', '[', ']', '127.0.0.1', '*', ' ', '-L')
  fc.assert(
    fc.property(fc.array(word, {maxLength: 6}), words => {
      try {
        const {listen, to} = parseListen(words.join(':'))
        expect(['path' in listen || listen.port >= 0, to.port > 0, to.host !== '']).toEqual([true, true, true])
      } catch (error) {
        expect(error).toMatchObject({code: 'USAGE'})
      }
    }),
  )
})
