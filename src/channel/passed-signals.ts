import type {SignalName} from '@prod/sdk'

/** What ends a process by itself, besides Ctrl-C; Windows knows no SIGQUIT. */
const names: SignalName[] = process.platform === 'win32' ? ['SIGTERM', 'SIGHUP'] : ['SIGQUIT', 'SIGTERM', 'SIGHUP']

/** Gives `pass` the signals that this process is sent. One that it does not take does what it does by itself. Answers what ends that. */
export function passSignals(pass: (name: SignalName) => boolean): () => void {
  const hear = (name: string): void => {
    if (pass(name as SignalName)) return
    stop()
    process.kill(process.pid, name as SignalName)
  }
  const stop = (): void => {
    for (const name of names) process.off(name, hear)
  }
  for (const name of names) process.on(name, hear)
  return stop
}
