/** Runs the person's program as if it had been typed alone. Light: the fast path loads it. */
import {ProdError} from '@prod/sdk/errors'

/** Signals that somebody sends to us and means for the program. */
const passed: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH']

/**
 * Starts the program on our own stdin, stdout and stderr, without a shell, and answers its status: 128+n where a signal ended it.
 * Throws TOOL_UNAVAILABLE where it cannot be started.
 */
export function runChild([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const {spawn} = process.getBuiltinModule('node:child_process')
  return new Promise((resolve, reject) => {
    const handlers = [...passed, 'SIGINT' as const, 'SIGQUIT' as const].map(signal => {
      // the keys of a terminal reach the program by themselves: a second copy would read as impatience
      const fromKeys = signal === 'SIGINT' || signal === 'SIGQUIT'
      const handler = (): void => {
        if (!(fromKeys && atTerminal())) child.kill(signal)
      }
      return {signal, handler}
    })
    // before there is a child: a signal that finds nobody listening would end us alone
    for (const {signal, handler} of handlers) process.on(signal, handler)
    const done = (): void => {
      for (const {signal, handler} of handlers) process.off(signal, handler)
    }
    const child = spawn(program, args, {env, stdio: 'inherit'})
    child.once('error', (cause: NodeJS.ErrnoException) => {
      done()
      const why = cause.code === 'ENOENT' ? 'there is no program' : `cannot be started (${cause.code ?? 'no reason given'}):`
      reject(new ProdError('TOOL_UNAVAILABLE', `${why} ${program}`, 'echo $PATH', {cause}))
    })
    child.once('exit', (status, signal) => {
      done()
      resolve(status ?? 128 + (signal === null ? 0 : process.getBuiltinModule('node:os').constants.signals[signal]))
    })
  })
}

function atTerminal(): boolean {
  const {isatty} = process.getBuiltinModule('node:tty')
  return isatty(0) || isatty(1) || isatty(2)
}
