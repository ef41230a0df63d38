/** What AWS says of the instance, its endpoint and its console; and the key that it is given. */
import {parseXML} from '@aws-sdk/xml-builder'
import {ProdError} from '@prod/sdk/errors'
import {json, query, type Way} from '@prod/ssm/aws'
import {fingerprintOf, type HostKey, keysOnConsole} from './host-keys.ts'
import type {Target} from './target.ts'

/** One instance, as far as it matters for reaching it. */
export interface Instance {
  readonly zone: string
  readonly vpcId: string
  readonly subnetId: string
  readonly privateIp: string
  readonly publicIp: string
  readonly ipv6: string
}

/** One EC2 Instance Connect Endpoint. */
export interface Endpoint {
  readonly id: string
  readonly dnsName: string
}

/** The text of an element, the elements below it, or a list of either: what `parseXML` makes of EC2's answers. */
type Xml = string | Xml[] | {[name: string]: Xml}

function below(from: Xml | undefined, ...names: string[]): Xml | undefined {
  let at = from
  for (const name of names) {
    const one: Xml | undefined = Array.isArray(at) ? at[0] : at
    at = typeof one === 'object' && !Array.isArray(one) && Object.hasOwn(one, name) ? one[name] : undefined
  }
  return at
}

function textOf(from: Xml | undefined, ...names: string[]): string {
  const found = below(from, ...names)
  return typeof found === 'string' ? found : ''
}

function itemsOf(from: Xml | undefined, ...names: string[]): Xml[] {
  const found = below(from, ...names, 'item')
  return found === undefined ? [] : Array.isArray(found) ? found : [found]
}

async function ask(way: Way, action: string, parameters: Record<string, string>): Promise<Xml | undefined> {
  return below(parseXML(await query(way, action, parameters)) as Xml, `${action}Response`)
}

/** The instance, if it runs and is the one that the target means (TM-X2). Throws TARGET_UNREACHABLE, TARGET_INVALID. */
export async function findInstance(way: Way, {instanceId, account, tags}: Target): Promise<Instance> {
  const [reservation] = itemsOf(await ask(way, 'DescribeInstances', {'InstanceId.1': instanceId}), 'reservationSet')
  const [found] = itemsOf(reservation, 'instancesSet')
  if (!found || textOf(found, 'instanceId') !== instanceId)
    throw new ProdError('TARGET_UNREACHABLE', `there is no instance ${instanceId} in ${way.region}`, 'prod targets')
  const owner = textOf(reservation, 'ownerId')
  if (account !== undefined && owner !== account)
    throw new ProdError('TARGET_INVALID', `${instanceId} belongs to the account ${owner}, not to ${account}`, 'prod targets')
  const has = new Map(itemsOf(found, 'tagSet').map(tag => [textOf(tag, 'key'), textOf(tag, 'value')]))
  for (const [key, value] of Object.entries(tags)) {
    if (has.get(key) === value) continue
    const now = has.has(key) ? `is ${JSON.stringify(has.get(key))}` : 'is missing'
    throw new ProdError(
      'TARGET_INVALID',
      `${instanceId}: the tag ${key} ${now}, and the catalog says ${JSON.stringify(value)}`,
      'prod targets',
    )
  }
  const state = textOf(found, 'instanceState', 'name')
  if (state !== 'running')
    throw new ProdError(
      'TARGET_UNREACHABLE',
      `${instanceId} is ${state || 'in no state'}`,
      `aws ec2 start-instances --instance-ids ${instanceId}`,
    )
  const [network] = itemsOf(found, 'networkInterfaceSet')
  return {
    zone: textOf(found, 'placement', 'availabilityZone'),
    vpcId: textOf(found, 'vpcId'),
    subnetId: textOf(found, 'subnetId'),
    privateIp: textOf(found, 'privateIpAddress'),
    publicIp: textOf(found, 'ipAddress'),
    ipv6: textOf(found, 'ipv6Address') || textOf(itemsOf(network, 'ipv6AddressesSet')[0], 'ipv6Address'),
  }
}

/** One instance that was looked for. */
export interface FoundInstance {
  readonly id: string
  readonly account: string
  readonly state: string
  readonly tags: Readonly<Record<string, string>>
  /** addresses and names in the network */
  readonly names: readonly string[]
}

/** Instances of a region that have these tags, as pages of EC2 come. */
export async function* eachInstance(way: Way, tags: Readonly<Record<string, string>>): AsyncGenerator<FoundInstance> {
  const filters = Object.entries(tags).flatMap(([key, value], at) => [
    [`Filter.${at + 1}.Name`, `tag:${key}`],
    [`Filter.${at + 1}.Value.1`, value],
  ])
  let token = ''
  do {
    const answer = await ask(way, 'DescribeInstances', {...Object.fromEntries(filters), ...(token ? {NextToken: token} : {})})
    for (const reservation of itemsOf(answer, 'reservationSet')) {
      for (const one of itemsOf(reservation, 'instancesSet')) {
        yield {
          id: textOf(one, 'instanceId'),
          account: textOf(reservation, 'ownerId'),
          state: textOf(one, 'instanceState', 'name'),
          tags: Object.fromEntries(itemsOf(one, 'tagSet').map(tag => [textOf(tag, 'key'), textOf(tag, 'value')])),
          names: ['privateIpAddress', 'privateDnsName', 'ipAddress', 'dnsName'].map(name => textOf(one, name)).filter(Boolean),
        }
      }
    }
    token = textOf(answer, 'nextToken')
  } while (token)
}

/** An endpoint of the instance's VPC, of its own subnet before others; or the named one. Throws TARGET_UNREACHABLE. */
export async function findEndpoint(
  way: Way,
  {vpcId, subnetId}: Instance,
  via: Target['via'],
  fips = process.env.AWS_USE_FIPS_ENDPOINT === 'true',
): Promise<Endpoint> {
  const states = ['create-complete', 'update-in-progress', 'update-failed', 'update-complete']
  const answer = await ask(way, 'DescribeInstanceConnectEndpoints', {
    'Filter.1.Name': 'state',
    ...Object.fromEntries(states.map((state, index) => [`Filter.1.Value.${index + 1}`, state])),
    'Filter.2.Name': 'vpc-id',
    'Filter.2.Value.1': vpcId,
    ...(via === 'endpoint' ? {} : {'InstanceConnectEndpointId.1': via}),
  })
  const found = itemsOf(answer, 'instanceConnectEndpointSet')
  const one = found.find(each => textOf(each, 'subnetId') === subnetId) ?? found[0]
  if (!one) {
    const what = via === 'endpoint' ? `${vpcId} has no EC2 Instance Connect Endpoint` : `${via} is no working endpoint of ${vpcId}`
    throw new ProdError('TARGET_UNREACHABLE', what, `aws ec2 create-instance-connect-endpoint --subnet-id ${subnetId}`)
  }
  const id = textOf(one, 'instanceConnectEndpointId')
  const dnsName = textOf(one, fips ? 'fipsDnsName' : 'dnsName')
  if (!dnsName)
    throw new ProdError('TARGET_UNREACHABLE', `${id} has no ${fips ? 'FIPS ' : ''}name to be reached by`, 'unset AWS_USE_FIPS_ENDPOINT')
  return {id, dnsName}
}

/** The host keys that the instance printed on its console when it made them. Throws TARGET_UNREACHABLE where they cannot be read there now. */
export async function learnHostKeys(way: Way, {instanceId}: Target): Promise<HostKey[]> {
  // what was printed since the last start; then, where the machine's kind has it, what is printed now
  for (const latest of [false, true]) {
    const answer = await ask(way, 'GetConsoleOutput', {InstanceId: instanceId, ...(latest ? {Latest: 'true'} : {})}).catch(
      (error: unknown) => {
        if (latest) return undefined
        throw error
      },
    )
    const keys = keysOnConsole(Buffer.from(textOf(answer, 'output'), 'base64').toString('latin1'))
    if (keys.length > 0) return keys
  }
  throw new ProdError(
    'TARGET_UNREACHABLE',
    `the host key of ${instanceId} is not known: its console no longer shows it`,
    'hostkey=SHA256:… in the address of the target, from ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the instance',
  )
}

/** What the instance showed instead of what it is known by. */
export function hostKeyRefused({instanceId}: Target, shown: Buffer, type: string): ProdError {
  return new ProdError(
    'TARGET_UNREACHABLE',
    `${instanceId} shows a host key that it is not known by (${type} ${fingerprintOf(shown)}), so nothing was sent to it`,
    'find out on the instance whether its key was changed; then hostkey=SHA256:… in the address of the target',
  )
}

/** Gives the instance a key that opens one of its accounts for 60 seconds. */
export async function pushKey(way: Way, {instanceId}: Target, user: string, publicKey: string, zone: string): Promise<void> {
  const answer = await json<{Success?: boolean}>('ec2-instance-connect', way, 'SendSSHPublicKey', {
    InstanceId: instanceId,
    InstanceOSUser: user,
    SSHPublicKey: publicKey,
    ...(zone ? {AvailabilityZone: zone} : {}),
  })
  if (answer.Success === false)
    throw new ProdError('TARGET_UNREACHABLE', `${instanceId} did not take the key`, 'is ec2-instance-connect installed on it?')
}
