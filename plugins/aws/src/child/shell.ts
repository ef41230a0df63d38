import {basename, join} from 'node:path'
import {places, writePrivate} from '@prod/sdk/cli/places'
import {ProdError} from '@prod/sdk/errors'

/** A shell to start, and what its environment has besides. */
export interface ShellCommand {
  command: string[]
  env: NodeJS.ProcessEnv
}

/** What marks the prompt. A shell puts the role's name in at each prompt, from the environment: no text of a name is ever read as code. */
const mark = '(prod $PROD_ASSUMED) '

/**
 * The person's own shell, its prompt marked with the role. Its start-up files are read first. Throws USAGE inside another one: two
 * roles in one prompt are one too many.
 */
export function openShell(name: string, env: NodeJS.ProcessEnv = process.env): ShellCommand {
  if (env.PROD_ASSUMED !== undefined) {
    throw new ProdError('USAGE', `this is a shell of ${env.PROD_ASSUMED} already`, `exit, then prod assume ${name}`)
  }
  const shell = env.SHELL || '/bin/sh'
  const home = join(places(env).cache, 'shell')
  switch (basename(shell)) {
    case 'bash': {
      const file = join(home, 'bashrc')
      writePrivate(file, `[ -r ~/.bashrc ] && . ~/.bashrc\nPS1='${mark}'"$PS1"\n`)
      return {command: [shell, '--rcfile', file, '-i'], env}
    }
    case 'zsh': {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
      const own = '"${PROD_ZDOTDIR:-$HOME}"'
      writePrivate(join(home, '.zshenv'), `[ -r ${own}/.zshenv ] && . ${own}/.zshenv\n`)
      writePrivate(
        join(home, '.zshrc'),
        `ZDOTDIR=${own}\n[ -r ${own}/.zshrc ] && . ${own}/.zshrc\nsetopt PROMPT_SUBST\nPROMPT='${mark}'"$PROMPT"\n`,
      )
      return {command: [shell, '-i'], env: {...env, ZDOTDIR: home, ...(env.ZDOTDIR === undefined ? {} : {PROD_ZDOTDIR: env.ZDOTDIR})}}
    }
    case 'fish': {
      const prompt = 'functions -c fish_prompt prod_own_prompt; function fish_prompt; echo -n "(prod $PROD_ASSUMED) "; prod_own_prompt; end'
      return {command: [shell, '-i', '-C', prompt], env}
    }
    default:
      return {command: [shell, '-i'], env: {...env, PS1: `${mark}$ `}}
  }
}
