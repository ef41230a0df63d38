/**
 * What a program is started with where a session is a terminal: one fixed text for a shell, the same for every use. All that differs comes
 * behind it as words of their own, which whoever starts it has made such that no shell reads more into them (TM-H5, TM-X5). Pure.
 */
import {randomBytes} from 'node:crypto'

/**
 * The mark of one use, in two halves that only the far side joins: neither an echo of the text, nor a list of processes that shows it,
 * holds the whole. The first half labels what is started, too.
 */
export interface Mark {
  readonly left: string
  readonly right: string
}

/** The mark of a new use. */
export function newMark(): Mark {
  const half = (): string => randomBytes(16).toString('hex')
  return {left: half(), right: half()}
}

/** A script of ours with words behind it, as one text. It holds no single quote, and no two opening braces side by side, which Systems Manager would read as a parameter. */
export function scriptText(script: string, words: readonly string[]): string {
  return `/bin/sh -c '${script}' ${words.join(' ')}`
}

/** Finds and ends by the label: every process whose environment holds it. Twice nobody: the first look may miss who was just being born. */
export const ending = [
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

/** Ends what a use started, from another session. */
const finish = ['a=$1; exec 3>&1 2>/dev/null', ending, 'sweep; echo gone >&3'].join('; ')

/** Starts these words as a program: variables and then a path with arguments, as `env` takes them. */
export function startText({left, right}: Mark, cpuSeconds: number, words: readonly string[]): string {
  return scriptText(program, ['prod', left, right, String(Math.ceil(cpuSeconds)), ...words])
}

/** What ends all that a use started. */
export function finishText({left}: Mark): string {
  return scriptText(finish, ['prod', left])
}

/** The label that all have whom a use started, in their environment. */
export const labelOf = ({left}: Mark): string => `PROD_RUN=${left}`
