/** Runs the person's program as if it had been typed alone. Light: the fast path loads it. */
import type {Readable} from 'node:stream'
import type {Denial} from '@prod/sdk/cli/after-failure'
import {openTail} from '@prod/sdk/cli/tail'
import {ProdError} from '@prod/sdk/errors'

/** Programs whose stderr is no screen: it passes through us, so that a refusal in it can be explained. */
const explained = new Set(
  'aws terraform tofu terragrunt pulumi cdk sam sls serverless eksctl kubectl helm gcloud gsutil bq docker podman git psql mysql mariadb mongosh redis-cli valkey-cli sops packer copilot'.split(
    ' ',
  ),
)

/** Signals that somebody sends to us and means for the program. */
const passed: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH']

/**
 * Starts the program on our own stdin, stdout and stderr, without a shell, and answers its status: 128+n where a signal ended it.
 * `explain`: the end of what a program that failed said on stderr is kept and a denial in it explained, for programs that draw nothing there.
 * `denied` is told which. Throws TOOL_UNAVAILABLE where it cannot be started.
 */
export async function runChild(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  explain: boolean,
  denied?: (denial: Denial) => void,
): Promise<number> {
  const {basename} = process.getBuiltinModule('node:path')
  if (!explain || !explained.has(basename(command[0] ?? '').replace(/\.exe$/i, ''))) return run(command, env)
  const tail = openTail()
  const status = await run(command, env, bytes => tail.push(bytes))
  // what explains lies outside the fast path's file, which is read whole at each start
  const denial = status === 0 ? undefined : await (await import('@prod/aws/after-failure')).afterFailure(tail.text(), {speaks: true})
  if (denial) denied?.(denial)
  return status
}

function run([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv, heard?: (bytes: Uint8Array) => void): Promise<number> {
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
    const child = spawn(program, args, {env, stdio: ['inherit', 'inherit', heard ? 'pipe' : 'inherit']})
    child.once('error', (cause: NodeJS.ErrnoException) => {
      done()
      const why = cause.code === 'ENOENT' ? 'there is no program' : `cannot be started (${cause.code ?? 'no reason given'}):`
      reject(new ProdError('TOOL_UNAVAILABLE', `${why} ${program}`, 'echo $PATH', {cause}))
    })
    if (heard) child.stderr?.on('data', heard).pipe(process.stderr, {end: false})
    child.once('exit', async (status, signal) => {
      done()
      if (heard) await saidAll(child.stderr)
      resolve(status ?? 128 + (signal === null ? 0 : process.getBuiltinModule('node:os').constants.signals[signal]))
    })
  })
}

/** All that it said has come; what it left behind may keep the pipe open, and is not waited for. */
async function saidAll(stream: Readable | null): Promise<void> {
  if (!stream || stream.readableEnded) return
  await new Promise<void>(resolve => {
    const late = setTimeout(resolve, 500)
    stream.once('close', () => {
      clearTimeout(late)
      resolve()
    })
  })
  stream.destroy()
}

function atTerminal(): boolean {
  const {isatty} = process.getBuiltinModule('node:tty')
  return isatty(0) || isatty(1) || isatty(2)
}
