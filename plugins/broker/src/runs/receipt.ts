import type {Receipt} from '@prod/sdk'
import {canonical} from '@prod/sdk/document'
import type {EndPayload} from '@prod/sdk/wire'
import {CompactSign} from 'jose'
import {handOversOf, type Keys} from '../keys.ts'
import type {Parts} from '../parts.ts'
import type {RunRecord} from './record.ts'

/** A compact JWS by the receipt key (EdDSA). */
export async function signAs(keys: Keys, typ: string, payload: string): Promise<string> {
  return new CompactSign(Buffer.from(payload)).setProtectedHeader({alg: 'EdDSA', typ}).sign(keys.receipt.privateKey)
}

/** The end frame: nothing is shown as success without it. */
export async function endFrame(keys: Keys, payload: EndPayload): Promise<string> {
  return signAs(keys, 'prod-end+jws', JSON.stringify(payload))
}

/** The receipt of an ended run, made from the record and the log: at its end, or again at any time later. */
export async function makeReceipt(
  parts: Pick<Parts, 'store' | 'keys'>,
  run: RunRecord,
  at?: {index: number; checkpoint: string},
): Promise<Receipt | null> {
  if (run.principal.iss === '') return null // the person was erased: there is nothing to vouch for
  if (!run.exit || !run.stdout || !run.stderr || !run.endedAt) return null
  const index = at?.index ?? (await parts.store.entries({from: 0, limit: 1, type: 'run.ended', subject: run.id}))[0]?.index
  if (index === undefined) return null
  const checkpoint = at?.checkpoint ?? (await parts.store.checkpoint())
  const size = Number(checkpoint.split('\n')[1])
  const proof = await parts.store.inclusionProof(index, size)
  const handOvers = await handOversOf(parts.store)
  const {iss, sub, name} = run.principal
  const unsigned = {
    version: 1 as const,
    run: run.id,
    request: run.request,
    principal: {iss, sub, name},
    tool: run.tool,
    argv: run.argv,
    target: run.target.address,
    reason: run.reason,
    approvals: run.approvals.map(one => ({by: one.by.name, digest: one.digest, jws: one.jws})),
    exit: run.exit,
    stdout: run.stdout,
    stderr: run.stderr,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    log: {
      index,
      proof: proof.map(hash => Buffer.from(hash).toString('base64')),
      checkpoint,
      ...(handOvers.length === 0 ? {} : {handOvers}),
    },
  }
  return {...unsigned, signature: await signAs(parts.keys, 'prod-receipt+jws', canonical(unsigned))}
}
