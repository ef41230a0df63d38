import {spawnSync} from 'node:child_process'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {openArena} from './security/arena.ts'

const installed = process.getuid?.() === 0 && ['bwrap', 'strace', 'tar', 'grep'].every(name => spawnSync('which', [name]).status === 0)

// the long run is a script of its own; where its parts are missing, so is this test
test.skipIf(!installed)(
  'TM-H16: a line that a definition allows strays nowhere under watch, and the watch sees what one of an attacker does',
  ({onTestFinished}) => {
    const arena = openArena()
    onTestFinished(arena.close)
    const choice = {cwd: '/srv/app', env: {PATH: '/usr/bin:/bin', LANG: 'C.UTF-8'}, stdin: '', beyond: {}}
    const strays = (...argv: string[]) => arena.run(argv, {...choice, program: join('/usr/bin', argv[0] as string)}).strays
    expect(strays('grep', '-F', '--', 'ERROR', '/var/log/app/app.log')).toEqual([])
    expect(strays('tar', '-tf', '/backup/a.tar')).toEqual([])
    expect(strays('grep', 'x', '/srv/secret/key.pem')).toContainEqual({kind: 'read', what: '/srv/secret/key.pem'})
    expect(strays('tar', '-xf', '/backup/a.tar', '-C', '/srv/scratch').map(({kind}) => kind)).toContain('write')
    const ran = strays('tar', '-tf', '/backup/a.tar', '--checkpoint=1', '--checkpoint-action=exec=/usr/bin/id')
    expect(ran.map(({kind}) => kind)).toContain('exec')
  },
)
