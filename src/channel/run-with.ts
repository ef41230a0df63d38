import {spawn} from 'node:child_process'
import {constants} from 'node:os'
import {ProdError} from '@prod/sdk/errors'

/** A command of the person's own that runs while something is held for it. */
export interface Running {
  /** its status; 128+n for a signal. Throws TOOL_UNAVAILABLE where it cannot be started. */
  readonly status: Promise<number>
  /** Asks it to end. */
  end(): void
}

/** Starts a program with our terminal and these variables besides our own. */
export function runWith([program = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): Running {
  const child = spawn(program, args, {stdio: 'inherit', env: {...process.env, ...env}})
  const status = new Promise<number>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'ENOENT' ? 'is not found' : 'cannot be started'
      reject(new ProdError('TOOL_UNAVAILABLE', `${program} ${why} on this machine`, 'prod forward TARGET -L … -- CMD', {cause}))
    })
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
  return {status, end: () => void child.kill('SIGTERM')}
}
