/**
 * A place in which a tool of the library runs for real, watched: private folders with the files that the definitions name, canaries that no rule
 * allows, no network. What it opens, starts, changes or calls is read from strace. Needs root, bubblewrap and strace.
 */
import {execFileSync, spawnSync} from 'node:child_process'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'

/** Something that a run did and no rule names. */
export interface Stray {
  kind: 'read' | 'write' | 'exec' | 'connect' | 'change'
  what: string
}

export interface Watched {
  strays: Stray[]
  status: number | null
}

/** What a tool may do beyond reading what its definition names, each with the reason in the table that says so. */
export interface Beyond {
  execs?: RegExp
  writes?: RegExp
  reads?: RegExp
  connects?: RegExp
  changes?: RegExp
}

const log = 'a line of the log\nERROR x y z 1\n{"a":1}\n'
const canary = 'prod-canary: no rule allows this to be read\n'

/** Files that are there for every run: those that definitions name, and canaries. */
function files(root: string): void {
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), {recursive: true})
    writeFileSync(join(root, path), text)
  }
  for (const name of ['app.log', 'a.log', 'web.log', 'app.json', 'x.csv', 'sub/b.log']) put(`var/log/app/${name}`, log)
  put('var/log/syslog', log)
  put('etc-nginx/nginx.conf', 'events {}\nhttp {}\n')
  put('etc-nginx/conf.d/app.conf', 'server {}\n')
  for (const path of ['srv/secret/key.pem', 'root/.ssh/id_ed25519', 'root/.pgpass', 'var/log/private/audit.log', 'srv/scratch/.keep'])
    put(path, canary)
  put('srv/app/Makefile', 'deploy:\n\t@echo deploy $(VERSION)\n\ttouch /tmp/prod-canary\n')
  put('srv/app/package.json', '{"name":"app","version":"1.0.0","dependencies":{}}\n')
  put('opt/ops/report.py', 'print("report")\n')
  put('opt/ops/report.mjs', 'console.log("report")\n')
  put('srv/inventory', 'localhost ansible_connection=local\n')
  mkdirSync(join(root, 'backup'), {recursive: true})
  const backup = join(root, 'backup')
  execFileSync('tar', ['-czf', join(backup, 'a.tar.gz'), '-C', join(root, 'var/log/app'), '.'])
  execFileSync('tar', ['-cf', join(backup, 'a.tar'), '-C', join(root, 'var/log/app'), '.'])
  if (spawnSync('zip', ['-qr', join(backup, 'a.zip'), '.'], {cwd: join(root, 'var/log/app')}).status !== 0) put('backup/a.zip', 'PK')
  mkdirSync(join(root, 'var/lib/app'), {recursive: true})
  spawnSync('sqlite3', [
    join(root, 'var/lib/app/app.db'),
    'create table orders (id integer, total real, created_at text); insert into orders values (1, 2.5, 3)',
  ])
}

/** The arena's folders on disk, and runs in it. */
export function openArena(): {run(argv: readonly string[], choice: RunChoice): Watched; close(): void} {
  const root = mkdtempSync(join(tmpdir(), 'prod-arena-'))
  files(root)
  const trace = join(root, 'trace')
  const bind = ['var/log', 'backup', 'srv', 'opt', 'var/lib/app', 'root'].flatMap(name => ['--bind', join(root, name), `/${name}`])
  return {
    run(argv, {program, cwd, env, stdin, beyond}) {
      rmSync(trace, {force: true})
      const done = spawnSync(
        'bwrap',
        [
          ...['--ro-bind', '/usr', '/usr', '--ro-bind', '/etc', '/etc', '--bind', join(root, 'etc-nginx'), '/etc/nginx'],
          ...['bin', 'sbin', 'lib', 'lib64'].flatMap(name => ['--symlink', `usr/${name}`, `/${name}`]),
          ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/run', '--dir', '/home/run', '--bind', root, root],
          ...bind,
          ...['--unshare-pid', '--unshare-net', '--unshare-ipc', '--die-with-parent', '--chdir', cwd, '--clearenv'],
          ...Object.entries({...env, HOME: '/home/run'}).flatMap(([name, value]) => ['--setenv', name, value]),
          ...['--', '/usr/bin/strace', '-f', '-qq', '-s', '300', '-o', trace, '-e', `trace=${watched}`],
          ...['timeout', '-s', 'KILL', '5', program, ...argv.slice(1)],
        ],
        {input: stdin, timeout: 15_000, maxBuffer: 64 * 1024 * 1024},
      )
      let text: string
      try {
        text = readFileSync(trace, 'latin1')
      } catch {
        throw new Error(`nothing was traced: ${done.stderr?.toString().slice(0, 500)}`)
      }
      return {strays: findStrays(text, program, beyond), status: done.status}
    },
    close: () => rmSync(root, {recursive: true, force: true}),
  }
}

export interface RunChoice {
  program: string
  cwd: string
  env: Record<string, string>
  stdin: string
  beyond: Beyond
}

const changing =
  'unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,chmod,fchmodat,chown,lchown,fchownat,truncate,mknod,mknodat,mount,umount2,setns,ptrace,kill,tkill,tgkill,init_module,reboot,sethostname,settimeofday,clock_settime'
const watched = `open,openat,openat2,creat,execve,execveat,connect,bind,sendto,${changing}`

/** What every program opens to start: libraries, locales, its own account, the kernel's tables. */
const everybody =
  /^(?:\/usr\/|\/lib|\/s?bin|\/etc\/(?!shadow|gshadow|sudoers|ssl\/private|ssh\/.*key)|\/proc(?:\/|$)|\/sys(?:\/|$)|\/dev\/(?:null|tty|zero|urandom|random|pts\/|fd\/|stdin|stdout|stderr)|\/home\/run|\/run\/|\/var\/run\/|\/tmp$|\/$|[^/]|$)/
/** Places that definitions name. */
const named =
  /^\/(?:var\/log|backup|srv\/(?:app|deploy|infra|charts|play|inventory|scratch)|opt\/ops|var\/lib\/(?:app|dpkg|apt|systemd))(?:\/|$)/
const secret = /^\/(?:srv\/secret|root(?:\/|$)|var\/log\/private)/

/** Nothing is kept of what is written there. */
const harmless = /^\/dev\/(?:null|tty|fd\/|stdout|stderr|pts\/)|^\/proc\/self\/task\/\d+\/comm$/

function findStrays(trace: string, program: string, {execs, writes, reads, connects, changes}: Beyond): Stray[] {
  const strays: Stray[] = []
  let started = 0
  for (const line of trace.split('\n')) {
    const [, call = '', rest = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? []
    const path = /"((?:[^"\\]|\\.)*)"/.exec(rest)?.[1] ?? ''
    if (call === 'execve' || call === 'execveat') {
      started += 1
      // the watchdog, then the tool
      if (started <= 2 || path === program || execs?.test(path)) continue
      if (/ = -1 ENOENT/.test(rest) && execs?.test(path.slice(path.lastIndexOf('/') + 1))) continue
      strays.push({kind: 'exec', what: path})
    } else if (/^(?:open|openat|openat2|creat)$/.test(call)) {
      const writing = call === 'creat' || /O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)/.test(rest)
      if (writing && !harmless.test(path) && !writes?.test(path)) strays.push({kind: 'write', what: path})
      else if (!reads?.test(path) && (secret.test(path) || !(everybody.test(path) || named.test(path))))
        strays.push({kind: 'read', what: path})
    } else if (call === 'connect' || call === 'bind' || call === 'sendto') {
      const to = /sun_path=@?"([^"]*)"/.exec(rest)?.[1] ?? /sin6?_port=htons\((\d+)\).*?"([0-9a-f.:]+)"/.exec(rest)?.slice(1).join(' at ')
      // the kernel's own tables are asked over netlink; name service caches are nobody else
      if (to === undefined || /^\/(?:var\/)?run\/(?:nscd|systemd\/userdb)/.test(to) || connects?.test(to)) continue
      strays.push({kind: 'connect', what: to})
    } else if (call !== '') {
      if (/^(?:kill|tkill|tgkill)$/.test(call)) continue // in a process namespace of its own
      if (writes?.test(path) || changes?.test(call)) continue
      strays.push({kind: 'change', what: `${call} ${path}`})
    }
  }
  return strays
}
