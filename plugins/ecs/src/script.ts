/**
 * What ECS Exec is told to run. The agent splits the one text into words and starts them without a shell; the only text that a shell
 * reads is written here, and is the same for every use. All that differs comes as words of its own, made of plain signs alone: a word
 * that holds anything else is refused (TM-X5). Pure.
 */
import {refusedVariables} from '@prod/sdk/environment'
import {ProdError} from '@prod/sdk/errors'
import {ending, type Mark, scriptText, startText} from '@prod/ssm/carried'

/** The signs that mean nothing to any splitter, shell or session document. */
const plain = /^[A-Za-z0-9_@%+=:,./-]+$/
const refused = new RegExp(`^(?:${refusedVariables})$`, 'i')

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

/** A program with its words. Throws ARGV_REFUSED with the position of a word that is not plain, TOOL_UNAVAILABLE for what the catalog says. */
export function programText(
  mark: Mark,
  {path, argv, env, cpuSeconds}: {path: string; argv: readonly string[]; env: Readonly<Record<string, string>>; cpuSeconds: number},
): string {
  return startText(mark, cpuSeconds, [...variables(env), ...programWords(path, argv)])
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
  return scriptText(shell, ['prod', left, right, numbered(PS1), ...variables(env)])
}

/** Every byte that is not plain as `%ooo`. */
function numbered(prompt: string): string {
  return Buffer.from(prompt, 'utf8')
    .toString('latin1')
    .replace(/[^A-Za-z0-9_@+=:,./-]/g, sign => `%${sign.charCodeAt(0).toString(8).padStart(3, '0')}`)
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
