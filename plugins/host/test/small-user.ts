/** What an ordinary user's broker can do here, as one line of JSON: run by a test as another user. */
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ProdError} from '@prod/sdk/errors'
import {startRunner} from '../src/open.ts'
import {access, limits, newMark, open, processesWith, run, script} from './machine.ts'

const hidden = join(process.argv[2] ?? '', 'hidden')
mkdirSync(hidden, {mode: 0o700})
writeFileSync(join(hidden, 'key'), 'canary')
const runner = await startRunner({development: true, hide: [hidden]})
const code = (error: ProdError) => error.code
const {stdout: uid} = await run(runner, script('id -u'))
const {exit} = await run(runner, script('kill -s TERM $$'))
const {stdout: canary} = await run(runner, script(`cat ${hidden}/key; umount ${hidden}; cat ${hidden}/key`))
const {stdout: tasks} = await run(runner, script('ulimit -p 2>/dev/null || ulimit -u'))
const credential = {AccessKeyId: 'ASIAX', SecretAccessKey: 'canary-of-aws', Expiration: new Date(Date.now() + 200).toISOString()}
const later = {...credential, AccessKeyId: 'ASIAY', Expiration: new Date(Date.now() + 3_600_000).toISOString()}
const given = {...access, credential, renew: async () => later}
const fresh = 'until grep -q ASIAY "$HOME/.aws/keys.json"; do sleep 0.02; done; stat -c %a "$HOME/.aws/keys.json"; env | grep -c canary'
const {stdout: keys} = await run(runner, script(fresh), given)
const other = await run(runner, script('true', {runAs: 'root'})).then(() => 'ran', code)
const mark = newMark()
const channel = await open(runner, script(`trap "" TERM; (setsid sleep ${mark} &); echo; while :; do sleep ${mark}; done`))
await new Promise(resolve => channel.stdout.once('data', resolve))
await channel.end('a test')
const shell = await open(runner, {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits})
shell.stdout.resume()
shell.stdin.write('exit 5\n')
const shellExit = await shell.ended
await runner.stop()
const strict = await startRunner({development: false, hide: []})
const production = await run(strict, script('true')).then(() => 'ran', code)
await strict.stop()
console.log(
  JSON.stringify({
    platform: runner.platform,
    uid,
    exit,
    canary,
    keys,
    other,
    production,
    left: processesWith(mark),
    shell: shellExit,
    nproc: Number(tasks) > 0,
  }),
)
