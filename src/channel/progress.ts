/** How far a run on many targets is: a table that stands below the output at a terminal, and a line for each change elsewhere. */

import {cut, passBytes, say, stand, terminalWidth} from '@prod/sdk/cli/output'
import {codes} from '@prod/sdk/errors'
import {columns, showLine, showName} from '@prod/sdk/text'
import type {RolloutTarget} from '@prod/sdk/wire'

/** Rows that the table takes at most: what is running is shown first. */
const mostRows = 12

/** Where progress is shown, and through which output goes while it stands there. */
export interface Progress {
  show(one: RolloutTarget): void
  say(text: string): void
  /** Writes whole lines of a target's output above the table; false: nobody reads any more. */
  write(name: 'stdout' | 'stderr', bytes: Uint8Array | string): Promise<boolean>
  close(): void
}

/** `quiet`: changes are not said (`--json`). */
export function openProgress({quiet}: {quiet: boolean}): Progress {
  const live = process.stderr.isTTY === true && process.env.TERM !== 'dumb' && !quiet
  return live ? table() : lines(quiet)
}

function lines(quiet: boolean): Progress {
  return {
    show: one => {
      if (!quiet && one.state !== 'waiting') say(`${showName(one.target)}: ${stateWords(one)}`)
    },
    say: text => {
      if (!quiet) say(text)
    },
    write: passBytes,
    close() {},
  }
}

function table(): Progress {
  const rows = new Map<string, {one: RolloutTarget; since: number}>()
  let drawn = 0
  let closed = false
  const clear = (): void => {
    if (drawn > 0) process.stderr.write(`\x1b[${drawn}A\x1b[0J`)
    drawn = 0
  }
  const draw = (): void => {
    if (closed || drawn > 0 || rows.size === 0) return
    const shown = pickRows([...rows.values()])
    process.stderr.write(shown.map(line => `${cut(line, terminalWidth('stderr') - 1)}\n`).join(''))
    drawn = shown.length
  }
  const redraw = (): void => {
    clear()
    draw()
  }
  stand({clear, draw})
  const timer = setInterval(redraw, 1000).unref()
  return {
    show(one) {
      const known = rows.get(one.target)
      rows.set(one.target, {one, since: known?.one.state === one.state ? known.since : Date.now()})
      redraw()
    },
    say,
    async write(name, bytes) {
      clear()
      const written = passBytes(name, bytes)
      draw()
      return written
    },
    close() {
      if (closed) return
      clearInterval(timer)
      redraw()
      closed = true
      stand(undefined)
    },
  }
}

const order: RolloutTarget['state'][] = ['running', 'queued', 'refused', 'ended', 'waiting', 'left']

function pickRows(all: {one: RolloutTarget; since: number}[]): string[] {
  const rank = ({one}: {one: RolloutTarget}): number => order.indexOf(one.state)
  const shown = all.length <= mostRows ? all : [...all].sort((a, b) => rank(a) - rank(b)).slice(0, mostRows)
  const width = Math.max(...shown.map(({one}) => columns(showName(one.target))))
  const lines = shown.map(({one, since}) => {
    const name = showName(one.target)
    const took = one.state === 'running' ? ` ${Math.round((Date.now() - since) / 1000)} s` : ''
    return `  ${name}${' '.repeat(width - columns(name))}  ${stateWords(one)}${took}`
  })
  const over = all.filter(({one}) => one.state === 'ended' || one.state === 'refused' || one.state === 'left').length
  return [`  ${over} of ${all.length} targets are over`, ...lines]
}

/** A target's state in words. Pure. */
export function stateWords({state, run, exit, endedBy, error}: RolloutTarget): string {
  switch (state) {
    case 'waiting':
      return 'waits'
    case 'queued':
      return 'waits for another run there'
    case 'running':
      return `runs as ${run}`
    case 'left':
      return 'not begun'
    case 'refused':
      return `refused: ${error ? `${showLine(error.message)} (${codes[error.code].exit})` : 'unknown'}`
    case 'ended':
      if (endedBy !== null) return `was ended: ${showLine(endedBy)}`
      if (exit === null || 'unknown' in exit) return 'outcome unknown'
      return 'status' in exit ? `ended with ${exit.status}` : `ended by ${exit.signal}`
  }
}
