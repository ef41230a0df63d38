/**
 * What ECS Exec is told to run. The agent splits the one text into words and starts them without a shell; the only text that a shell
 * reads is written here, and is the same for every use. All that differs comes as words of its own, made of plain signs alone: a word
 * that holds anything else is refused (TM-X5). Pure.
 */
import {refusedVariables} from '@prod/sdk/environment'
import {ProdError} from '@prod/sdk/errors'

/**
 * The mark of one use, in two halves that only the far side joins: neither an echo of the text, nor a list of processes that shows it,
 * holds the whole. The first half labels what is started, too.
 */
export interface Mark {
  readonly left: string
  readonly right: string
}

/** The signs that mean nothing to any splitter, shell or session document. */
const plain = /^[A-Za-z0-9_@%+=:,./-]+$/
const refused = new RegExp(`^(?:${refusedVariables})$`, 'i')

/** Scripts hold no single quote, and no two opening braces side by side, which Systems Manager would read as a parameter. */
function text(script: string, words: readonly string[]): string {
  return `/bin/sh -c '${script}' ${words.join(' ')}`
}

/** Finds and ends by the label: every process whose environment holds it. Twice nobody: the first look may miss who was just being born. */
const ending = [
  'left() { grep -lszx "PROD_RUN=$a" /proc/[0-9]*/environ | while IFS=/ read -r x y p z; do echo $p; done; }',
  'tell() { for p in $(left); do kill -s $1 $p; done; }',
  'sweep() { n=0; while [ $n -lt 2 ]; do if [ -n "$(left)" ]; then tell KILL; n=0; else n=$((n+1)); fi; done; }',
].join('; ')

const tools = 'stty base64 dd sed grep env'

/**
 * Runs a program behind a terminal that carries lines: `o…` and `e…` are output and errors in base64, `n` asks for the next line of
 * input, `x KEY STATUS` is the end. Lines that come in: `i…` is the program's input in base64, `.` its end, `sNAME` a signal, `k` the end of
 * all that was started, `q` the end. The key comes as the first line, when nothing is echoed any more: the program never sees it.
 */
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: the shell's own
const program = [
  'a=$1; b=$2; shift 2; exec 3>&1 2>/dev/null; LC_ALL=C; m=',
  `for t in ${tools}; do command -v $t >/dev/null || m="$m $t"; done`,
  'if [ -n "$m" ]; then echo "$a$b lacks$m" >&3; exit 1; fi',
  ending,
  'stty raw -echo; printf "%s ready\\n" "$a$b" >&3; IFS= read -r k; ulimit -t $1; shift',
  // pieces as they come, in lines that one write carries each
  'enc() { while :; do r=$( { dd bs=65536 count=1 2>&4 | base64 | sed "s/^/$1/" >&3; } 4>&1 ); case "$r" in "0+0 "*) break;; esac; done; }',
  'one() { printf %s "$1" | base64 -d; echo n >&3; }',
  'dec() { trap : HUP INT QUIT TERM; while IFS= read -r l; do case "$l" in q) return;; .) exec >/dev/null;; k) sweep;; s*) tell ${l#s};; i*) one "${l#i}" & ;; esac; done; sweep; }',
  'run() { env "PROD_RUN=$a" "$@" 3>&- 7>&- 8>&-; s=$?; sweep; echo $s >&7; }',
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the shell's own
  'dec | { s=$( { { run "$@" 2>&1 >&8 | enc e; } 8>&1 | enc o; } 7>&1 ); echo "x $k $s" >&3; }',
].join('; ')

/**
 * A shell with a terminal; when it ends, the mark and its status follow. What it leaves behind ends with it, and with the session. It
 * reads nobody's start-up files: what a person sees is the same in every container. Its prompt comes with each sign that is not plain as
 * a number, `%ooo`; other shells than bash know no `\u`, so for them it ends at the first backslash.
 */
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: the shell's own
const shell = [
  'a=$1; b=$2; v=$3; shift 3; exec 5>&1',
  'p=; while :; do case $v in *%*) p="$p${v%%[%]*}\\\\0"; v=${v#*%};; *) break;; esac; done; p=$(printf %b "$p$v")',
  ending,
  'keep() { trap : HUP INT QUIT TERM; cat >/dev/null; sweep; }',
  'main() { trap : HUP INT QUIT TERM; if command -v bash >/dev/null 2>&1; then q=$p; s="bash --noprofile --norc"; else q="${p%%[\\\\]*}# "; s=/bin/sh; fi; env "PROD_RUN=$a" HISTFILE=/dev/null "PS1=$q" "$@" $s -i 5>&- 7>&-; r=$?; printf "%s%s %d\\n" "$a" "$b" $r; }',
  '{ main "$@"; } 7>&1 >&5 | keep 2>/dev/null',
].join('; ')
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: the shell's own

/** Ends what a use started, from another session. */
const finish = ['a=$1; exec 3>&1 2>/dev/null', ending, 'sweep; echo gone >&3'].join('; ')

/** A program with its words. Throws ARGV_REFUSED with the position of a word that is not plain, TOOL_UNAVAILABLE for what the catalog says. */
export function programText(
  {left, right}: Mark,
  {path, argv, env, cpuSeconds}: {path: string; argv: readonly string[]; env: Readonly<Record<string, string>>; cpuSeconds: number},
): string {
  return text(program, ['prod', left, right, String(Math.ceil(cpuSeconds)), ...variables(env), ...programWords(path, argv)])
}

/** The program and its arguments, each a plain word. Throws as {@link programText}. */
export function programWords(path: string, argv: readonly string[]): string[] {
  if (!path.startsWith('/') || !plain.test(path) || path.includes('='))
    throw new ProdError(
      'TOOL_UNAVAILABLE',
      `${JSON.stringify(path)} cannot be started by ECS Exec: an absolute path of plain signs`,
      'prod tools',
    )
  for (const [position, word] of argv.entries()) {
    if (position === 0 || plain.test(word)) continue
    throw new ProdError(
      'ARGV_REFUSED',
      `argument ${position} does not go to a container: ECS Exec takes one text, and only letters, digits and _@%+=:,./- mean nothing in it`,
      'prod tools',
      {position},
    )
  }
  return [path, ...argv.slice(1)]
}

/** A shell of the container. Throws TOOL_UNAVAILABLE. */
export function shellText({left, right}: Mark, {PS1 = '\\w\\$ ', ...env}: Readonly<Record<string, string>>): string {
  return text(shell, ['prod', left, right, numbered(PS1), ...variables(env)])
}

/** Every byte that is not plain as `%ooo`. */
function numbered(prompt: string): string {
  return Buffer.from(prompt, 'utf8')
    .toString('latin1')
    .replace(/[^A-Za-z0-9_@+=:,./-]/g, sign => `%${sign.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

/** What ends all that a use started. */
export function finishText({left}: Mark): string {
  return text(finish, ['prod', left])
}

/** The variables, each a plain word. Throws TOOL_UNAVAILABLE. */
export function variables(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => {
    const isName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) && (name === 'TERM' || !refused.test(name))
    if (!isName || !plain.test(`x${value}`))
      throw new ProdError('TOOL_UNAVAILABLE', `the environment variable ${JSON.stringify(name)} cannot be set by ECS Exec`, 'prod tools')
    return `${name}=${value}`
  })
}
