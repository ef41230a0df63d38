/**
 * What is sent to the instance for its login shell to read. Whatever shell that is: the text is one line of plain words and of words in
 * single quotes, in which there is neither a single quote nor an exclamation mark. Scripts are written here; the words of a program come
 * as data, with every sign that could mean anything written as a number, and are decoded behind the shell (TM-H5). Pure.
 */
import {fixedEnvironment, refusedVariables} from '@prod/sdk/environment'
import {ProdError} from '@prod/sdk/errors'

/** The name of the variable by which all that a use started is found again. */
const label = 'PROD_RUN'

/** Every byte that is not plain as `\0ooo`, for `printf %b`. */
function encode(word: string): string {
  return Buffer.from(word, 'utf8')
    .toString('latin1')
    .replace(/[^A-Za-z0-9_@%+=:,./-]/g, sign => `\\0${sign.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

function line(script: string, mark: string, words: readonly string[]): string {
  return `exec /bin/sh -c '${script}' prod ${[mark, ...words].map(word => `'${encode(word)}'`).join(' ')}`
}

const take = 'm=$1; shift; '
/** The words, decoded, as the arguments; a sign behind keeps the newlines at a word's end. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
const decode = 'n=$#; while [ "$n" -gt 0 ]; do a=$(printf %bx "$1"); shift; set -- "$@" "${a%x}"; n=$((n-1)); done; '

/** A program with its words, in an environment built from nothing. `cpuSeconds`: what it may use of the processor. */
export function programText(
  mark: string,
  {path, args, env, cpuSeconds}: {path: string; args: readonly string[]; env: Readonly<Record<string, string>>; cpuSeconds: number},
): string {
  const script = `${take}ulimit -t $1 2>/dev/null; shift; ${decode}exec env -i "${label}=$m" "HOME=$HOME" "USER=$USER" "LOGNAME=$LOGNAME" "$@"`
  const variables = Object.entries({...fixedEnvironment, ...env}).map(([name, value]) => `${name}=${value}`)
  return line(script, mark, [String(Math.ceil(cpuSeconds)), ...variables, path, ...args])
}

/** The login shell of the account. What it reads at its start may set a prompt; bash takes the one that says where it is after that. */
export function shellText(mark: string, env: Readonly<Record<string, string>>): string {
  const script = `${take}${decode}exec env "${label}=$m" "$@" "\${SHELL:-/bin/sh}" -l`
  const {PS1} = env
  const prompt = PS1 === undefined ? {} : {PROD_PS1: PS1, PROMPT_COMMAND: 'PS1=$PROD_PS1; unset PROMPT_COMMAND PROD_PS1'}
  return line(
    script,
    mark,
    Object.entries({...env, ...prompt}).map(([name, value]) => `${name}=${value}`),
  )
}

/**
 * The keeper: it says `ready`, passes on the signals that it reads, a name a line, and when its input ends, for whatever reason, it ends
 * all that bears the mark, until it has twice found none; then it says `gone`. `blind`: it could not see processes here.
 */
export function keeperText(mark: string): string {
  const script = [
    'm=$1; trap : HUP INT TERM',
    `left() { grep -lszx "${label}=$m" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r a b p c; do echo $p; done; }`,
    'tell() { for p in $(left); do kill -s $1 $p 2>/dev/null; done; }',
    `if ${label}=$m grep -qszx "${label}=$m" /proc/self/environ 2>/dev/null; then echo ready; else echo blind; exit 1; fi`,
    'while read -r s; do case $s in INT|TERM|HUP|QUIT|KILL|USR1|USR2) tell $s;; esac; done',
    'n=0; while [ $n -lt 2 ]; do if [ -n "$(left)" ]; then tell KILL; n=0; else n=$((n+1)); fi; done',
    'echo gone',
  ].join('; ')
  return line(script, mark, [])
}

const refused = new RegExp(`^(?:${refusedVariables})$`, 'i')

/** Throws TOOL_UNAVAILABLE for a variable that nobody may set, or that is none. */
export function checkEnvironment(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    const own = name in fixedEnvironment || name === 'TERM'
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) || (!own && refused.test(name)) || value.includes('\0'))
      throw new ProdError('TOOL_UNAVAILABLE', `the environment variable ${JSON.stringify(name)} may not be set for a program`, 'prod tools')
  }
}
