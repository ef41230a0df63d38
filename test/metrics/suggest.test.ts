import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {type RecordingRecord, recordStream} from '@prod/sdk/recording'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {jobs, suggest} from '../../src/metrics/suggest.ts'
import {firstWord, readTyped} from '../../src/metrics/typed.ts'

type Step = readonly ['i' | 'o', string]
const recorded = (...steps: Step[]): RecordingRecord[] =>
  steps.map(([way, text], at) => ({at, stream: way === 'i' ? recordStream.stdin : recordStream.stdout, bytes: Buffer.from(text)}))
const wordsOf = (...steps: Step[]) => {
  const reader = readTyped()
  for (const record of recorded(...steps)) reader.push([record])
  return Object.fromEntries(reader.words())
}
/** Each key, and its echo. */
const typed = (text: string): Step[] =>
  [...text].flatMap((key): Step[] => [
    ['i', key],
    ['o', key],
  ])
const enter: Step[] = [
  ['i', '\r'],
  ['o', '\r\n'],
]
const prompt: Step = ['o', '[prod web] ops@web-1:~$ ']

test('the first word of each command at a prompt is counted, and nothing else', () => {
  expect(
    wordsOf(
      prompt,
      ...typed('tail -f /var/log/hunter2.log'),
      ...enter,
      ['o', 'some $ output\r\n'],
      prompt,
      ...typed('  sudo -u ops systemctl restart web'),
      ...enter,
      prompt,
      ...typed('tail x'),
      ...enter,
    ),
  ).toEqual({tail: 2, systemctl: 1})
})

test('what the terminal did not show is never looked at: a password at a prompt of sudo, or at one that looks like a shell', () => {
  const silent: Step[] = [...'hunter2'].map((key): Step => ['i', key])
  expect(
    wordsOf(prompt, ...typed('sudo ls'), ...enter, ['o', '[sudo] password for ops: '], ...silent, ...enter, ['o', 'a b\r\n'], prompt),
  ).toEqual({ls: 1})
  expect(wordsOf(['o', 'token $ '], ...silent, ...enter, prompt)).toEqual({})
  expect(wordsOf(['o', 'token $ '], ...silent, ['o', '***'], ...enter, prompt)).toEqual({})
})

test('what is typed into programs is data: psql, python, mysql, a question, a here-document', () => {
  for (const question of ['web=# ', 'web-# ', 'web(# ', '>>> ', 'mysql> ', '> ', 'name: ', 'Are you sure? [y/N] ', ''])
    expect(wordsOf(['o', question], ...typed('select'), ...enter, ['o', 'x\r\n'], prompt), question).toEqual({})
})

test('a line is what stood there at last: corrected, taken from the history, completed, drawn anew', () => {
  expect(
    wordsOf(
      prompt,
      ...typed('cta'),
      ['i', '\x7f'],
      ['o', '\b\x1b[K'],
      ['i', '\x7f'],
      ['o', '\b\x1b[K'],
      ...typed('at x'),
      ...enter,
      prompt,
    ),
  ).toEqual({cat: 1})
  expect(wordsOf(prompt, ['i', '\x1b[A'], ['o', 'journalctl -u web'], ...enter, prompt)).toEqual({journalctl: 1})
  expect(wordsOf(prompt, ...typed('kube'), ['i', '\t'], ['o', 'ctl '], ...typed('get pods'), ...enter, prompt)).toEqual({kubectl: 1})
  const again = prompt[1]
  expect(wordsOf(prompt, ...typed('xyz'), ['i', '\x15'], ['o', `\r${again}\x1b[K`], ...typed('df -h'), ...enter, prompt)).toEqual({df: 1})
  expect(
    wordsOf(
      ['o', `\x1b]0;ops@web\x07\x1b[?2004h\x1b[01;32mops@web\x1b[00m:~$ `],
      ...typed('uptime'),
      ['i', '\r'],
      ['o', '\x1b[?2004l\r\r\n'],
    ),
  ).toEqual({uptime: 1})
})

test('a command that is typed ahead, before a prompt is there, is not counted', () => {
  expect(wordsOf(prompt, ...typed('sleep 5'), ['i', '\r'], ['o', '\r\n'], ['i', 'hunter2\r'], ['o', 'hunter2\r\n'], prompt)).toEqual({
    sleep: 1,
  })
})

test.each([
  ['ls', 'ls'],
  ['/usr/bin/less /var/log/x', 'less'],
  ['TOKEN=hunter2 curl https://x', 'curl'],
  ['TOKEN="hunter2 and more" curl x', 'curl'],
  ['TOKEN="hunter2 and more', undefined],
  ["echo 'hunter2", undefined],
  ['sudo -u ops -- df -h', 'df'],
  ['sudo -i', 'sudo'],
  ['sudo --user ops df', 'sudo'],
  ['env A=b nice -n 5 tar xf x', 'tar'],
  ['time sudo -n ss -tlnp', 'ss'],
  ['tail x | grep hunter2', 'tail'],
  ['"$EDITOR" x', undefined],
  ['$(cat secret)', undefined],
  ['./run.sh x', 'run.sh'],
  ['hunter2!', undefined],
  ['4111111111111111', undefined],
  ['sudo hunter2! x', undefined],
  ['', undefined],
  ['   ', undefined],
])('of %j it is %j', (line, word) => {
  expect(firstWord(line)).toBe(word)
})

test('whatever is in a recording, what is counted was shown, and is one plain word', () => {
  const step = fc.tuple(
    fc.constantFrom('i' as const, 'o' as const),
    fc.oneof(fc.string({maxLength: 12}), fc.constantFrom('$ ', '\r', '\n', '\r\n', '\x1b[K', '\x1b[4D', '\b', '\x1b]0;x\x07', 'ls -l')),
  )
  fc.assert(
    fc.property(fc.array(step, {maxLength: 40}), steps => {
      const shown = steps.map(([way, text]) => (way === 'o' ? text : '')).join('')
      for (const word of Object.keys(wordsOf(...steps))) {
        expect(word).toMatch(/^[A-Za-z][A-Za-z0-9._+-]{0,31}$/)
        expect([...word].every(letter => shown.includes(letter))).toBe(true)
      }
    }),
    {seed: 7, numRuns: 300},
  )
})

const shell = (person: string, target: string, ...words: string[]) => ({person, target, words: new Map(words.map(word => [word, 1]))})

test('a job is shown where enough people did it, a word where enough people typed it, and nobody is named', () => {
  const shells = [
    shell('ann', 'web', 'tail', 'less', 'annsecret'),
    shell('ann', 'web', 'tail'),
    shell('ben', 'web', 'tail', 'grep'),
    shell('cat', 'web', 'journalctl', 'tail'),
    shell('ann', 'db', 'psql'),
    shell('ben', 'db', 'psql'),
    ...['ann', 'ben', 'cat'].map(person => shell(person, 'web', 'deploy.sh')),
  ]
  const found = suggest(shells, 3)
  expect(found.suggestions).toEqual([
    {
      what: 'look at logs',
      target: 'web',
      people: 3,
      shells: 4,
      words: [{word: 'tail', people: 3, times: 4}],
      library: expect.arrayContaining(['tail']),
    },
    {what: 'deploy.sh', target: 'web', people: 3, shells: 3, words: [{word: 'deploy.sh', people: 3, times: 3}], library: []},
  ])
  expect(found.leftOut).toBe(2)
  expect(JSON.stringify(found)).not.toMatch(/ann|ben|"cat"/)
  expect(suggest(shells, 1)).toEqual(found)
})

test('every definition that is named comes with prod, and every word has one job', () => {
  const lost = jobs.flatMap(({library}) => library).filter(name => !existsSync(join(import.meta.dirname, `../../docs/library/${name}.md`)))
  expect(lost).toEqual([])
  const words = jobs.flatMap(job => job.words)
  expect(new Set(words).size).toBe(words.length)
})
