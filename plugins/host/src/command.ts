import type {Limits} from '@prod/sdk'
import type {Account} from './accounts.ts'
import type {Cage, Instruments} from './isolation.ts'
import type {Command} from './messages.ts'
import {countThreads} from './processes.ts'

/** What is to start in a cage. */
export interface Plan {
  readonly env: Record<string, string>
  readonly cwd: string
  readonly limits: Limits
  readonly account: Account | null
  /** a held program: descriptor 3 of the command is the file; else a shell for a person */
  readonly program: 'binary' | 'script' | {readonly path: string; readonly prompt: string}
  readonly argv: readonly string[]
  /** descriptor 4 is where a control group takes members: the program becomes one before it starts */
  readonly joins?: boolean
}

/** Bytes that a tool may map beyond its memory limit before the kernel says no: the tree's true use is measured. */
const headroomBytes = 1024 ** 3

/**
 * The command that starts a program inside a cage: enter it, become the account with no way back to more rights, set the
 * limits that the kernel keeps, execute. The text of the last step is fixed; what a caller chose goes as whole arguments
 * and is never read as shell text. Pure but for the count of the account's threads.
 */
export function commandLine(instruments: Instruments, cage: Cage, plan: Plan): Command {
  const {setpriv, bash} = instruments
  const privileges = setpriv === undefined ? [] : [setpriv, '--no-new-privs', ...identity(plan.account)]
  const [name = '', ...rest] = plan.argv
  // `bash` also counts its own level in SHLVL on exec: as an array it stays out of the environment
  const last =
    bash === undefined
      ? [
          '/bin/sh',
          '-c',
          `${join(plan)}${limits(plan, false)}cd -- "$1" && shift 2 && unset -v PWD OLDPWD && ${run(plan.program, false)}`,
          'sh',
        ]
      : [
          bash,
          '-p',
          '-c',
          `${join(plan)}${limits(plan, true)}cd -- "$1" && unset -v PWD OLDPWD _ SHLVL && declare -a SHLVL && ${run(plan.program, true)}`,
          'bash',
        ]
  const shell = typeof plan.program === 'object' ? [plan.program.path, plan.program.prompt] : []
  const [file = '', ...args] = [...cage.enter, ...privileges, ...last, plan.cwd, name, ...shell, ...rest]
  // the last step goes to the folder of the run, which need not be there outside the cage
  return {file, args, env: plan.env, cwd: '/'}
}

/** Descriptor 3 moves to 10, closed on execution, for as long as the braces last: the program starts without it. */
function run(program: Plan['program'], bash: boolean): string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  const [named, others] = bash ? ['exec -a "$2"', '"${@:3}"'] : ['exec', '"$@"']
  if (program === 'binary') return `{ ${named} /proc/self/fd/10 ${others}; } 3<&-`
  // an interpreter opens its script by name, so there the descriptor stays
  if (program === 'script') return `${named} /proc/self/fd/3 ${others}`
  return `export PS1="$4" && ${named} "$3" "\${@:5}"`
}

/** 0 is whoever writes it (cgroups(7)); what was opened by the runner may be written by the account. */
function join({joins}: Plan): string {
  return joins ? '{ echo 0 >&4; } 2>/dev/null; exec 4>&-; ' : ''
}

function identity(account: Account | null): string[] {
  if (account) return [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups', '--bounding-set=-all', '--inh-caps=-all']
  // the developer's own user: when that is root, it may still not reach out of its namespaces (nor open by handle what lies under a mount)
  if (process.getuid?.() === 0) return ['--bounding-set=-dac_read_search,-sys_admin,-sys_ptrace,-sys_module,-sys_rawio,-sys_boot,-mknod']
  return []
}

function limits({limits: {cpuSeconds, fileBytes, memoryBytes, processes}, account}: Plan, bash: boolean): string {
  const whole = (value: number) => Math.max(1, Math.ceil(value))
  const uid = account?.uid ?? process.getuid?.() ?? 0
  const lines = [
    'ulimit -c 0',
    `ulimit -St ${whole(cpuSeconds)}`,
    `ulimit -Ht ${whole(cpuSeconds) + 1}`,
    `ulimit -f ${whole(fileBytes / (bash ? 1024 : 512))}`,
    `ulimit -d ${whole((memoryBytes * 2 + headroomBytes) / 1024)}`,
    // the kernel counts threads, of all the account has: a brake for bombs, while the tree's own processes are counted
    ...(uid === 0 ? [] : [`ulimit -${bash ? 'u' : 'p'} ${countThreads(uid) + whole(processes) * 8 + 64}`]),
  ]
  return `{ ${lines.join('; ')}; } 2>/dev/null; `
}
