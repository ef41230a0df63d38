/** Finds instances by what people call them. */
import type {Access, FoundTarget} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {wayOf} from '@prod/ssm/aws'
import {matcher} from '@prod/ssm/discover'
import {eachInstance} from './instance.ts'
import type {Target} from './target.ts'

/** Running instances of the region of `within`, with its tags and of its account; without it, all of the region of the credential. */
export async function* discover({text, within}: {text: string; within?: Target}, access: Access): AsyncGenerator<FoundTarget> {
  const region = within?.region ?? (access.credential.Region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION)
  if (!region) throw new ProdError('CONFIG_INVALID', 'no region to look in', 'ec2-instance-connect:eu-west-1/*?tag:Role=web')
  const isFound = matcher(text)
  for await (const {id, account, state, tags, names} of eachInstance(wayOf(access, region), within?.tags ?? {})) {
    if (state !== 'running' || (within?.account !== undefined && within.account !== account)) continue
    const name = tags.Name ?? ''
    if (!isFound(name, [id, ...names, ...Object.entries(tags).flatMap(([key, value]) => [value, `${key}=${value}`])])) continue
    yield {
      address: `ec2-instance-connect:${region}/${id}${within?.pins ?? ''}`,
      name: name || id,
      labels: {...tags, ...(names[0] ? {address: names[0]} : {})},
    }
  }
}
