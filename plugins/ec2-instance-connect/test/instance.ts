/** An instance with a real sshd behind the pretended AWS, and what a use of it is given. */
import type {Access, Use} from '@prod/sdk'
import {type Sshd, startSshd} from '../../../test/sessions-stand-in/sshd.ts'
import {type StandIn, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'

export {sshdPath} from '../../../test/sessions-stand-in/sshd.ts'

export const instanceId = 'i-0a1b2c3d4e5f60001'
export const limits = {
  wallSeconds: 60,
  cpuSeconds: 60,
  memoryBytes: 512 * 1024 ** 2,
  processes: 200,
  fileBytes: 1024 ** 3,
  outputBytes: 1024 ** 3,
}

/** The pretended AWS, its instance, and how to take both away. */
export interface Here {
  standIn: StandIn
  sshd: Sshd
  access: Access
  close(): Promise<void>
}

/** Starts both, and points calls of AWS there until they are closed. */
export async function startHere(): Promise<Here> {
  const standIn = await startStandIn()
  const sshd = await startSshd(standIn, instanceId)
  const before = process.env.AWS_ENDPOINT_URL
  process.env.AWS_ENDPOINT_URL = standIn.url
  const {
    AWS_ACCESS_KEY_ID: AccessKeyId = '',
    AWS_SECRET_ACCESS_KEY: SecretAccessKey = '',
    AWS_SESSION_TOKEN: SessionToken = '',
  } = standIn.env
  return {
    standIn,
    sshd,
    access: {id: 'run_contract', principal: 'https://idp.example#contract', credential: {AccessKeyId, SecretAccessKey, SessionToken}},
    async close() {
      if (before === undefined) delete process.env.AWS_ENDPOINT_URL
      else process.env.AWS_ENDPOINT_URL = before
      await sshd.close()
      await standIn.close()
    },
  }
}

/** A use that runs a script of `sh`. */
export function script(text: string, more: Partial<Extract<Use, {kind: 'exec'}>> = {}): Extract<Use, {kind: 'exec'}> {
  return {kind: 'exec', program: {path: '/bin/sh'}, argv: ['sh', '-c', text], env: {}, limits, stdin: false, ...more}
}
