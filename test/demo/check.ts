/** What the story looks at after each step. */
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Receipt} from '@prod/sdk'
import {openCheckpoint} from '@prod/sdk/log/checkpoint'
import {leafHash, verifyInclusion} from '@prod/sdk/log/merkle'
import type {Ended} from '../e2e/broker.ts'
import {StoryBroke} from './stage.ts'

/** How a step must have ended. */
export interface Expected {
  status: number
  stdout?: RegExp
  stderr?: RegExp
}

/** Throws StoryBroke where a command did not end as it must. */
export function must(ended: Ended, {status, stdout, stderr}: Expected): Ended {
  if (ended.status !== status) throw new StoryBroke(`the exit status is ${ended.status}, not ${status}`)
  for (const [name, pattern] of [
    ['stdout', stdout],
    ['stderr', stderr],
  ] as const) {
    if (pattern && !pattern.test(ended[name])) throw new StoryBroke(`${name} does not have ${pattern}`)
  }
  return ended
}

/** Throws StoryBroke where something is not so. */
export function mustBe(what: string, holds: boolean): void {
  if (!holds) throw new StoryBroke(`it does not hold that ${what}`)
}

/** The first group of a pattern. Throws StoryBroke where it is not there. */
export function find(pattern: RegExp, text: string): string {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw new StoryBroke(`there is no ${pattern} in ${JSON.stringify(text)}`)
  return found
}

/** Checks that a receipt's record is this one of the export, and that the signed checkpoint has it. Throws StoryBroke, SIGNATURE_INVALID. */
export function checkReceiptInLog(receipt: Receipt, envelope: string, dir: string): void {
  const {size, root} = openCheckpoint(receipt.log.checkpoint, readFileSync(join(dir, 'keys/log.pub'), 'utf8').trim())
  const proof = receipt.log.proof.map(hash => Buffer.from(hash, 'base64'))
  mustBe('the receipt lies in the log', verifyInclusion(leafHash(envelope), receipt.log.index, size, proof, root))
}

/** SHA-256 of a text, hexadecimal. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
