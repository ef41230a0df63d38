/** Instances, their endpoints for Instance Connect, and what stands on their consoles. */
import {readFileSync} from 'node:fs'
import type {Api, Incoming, World} from './api.ts'
import {ApiError} from './api-error.ts'
import type {Value} from './query.ts'
import {account, type Instance} from './world.ts'

interface Filter {
  Name: string
  Value: string[]
}

const like = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  ).test(text)

/** What a filter of DescribeInstances looks at. */
function looked(it: Instance, name: string): string[] {
  if (name.startsWith('tag:')) return [it.tags[name.slice(4)]].filter(value => value !== undefined)
  const found: Record<string, string[]> = {
    'instance-id': [it.id],
    'instance-state-name': [it.state],
    'private-ip-address': [it.privateIp],
    'network-interface.addresses.private-ip-address': [it.privateIp],
    'ip-address': it.publicIp ? [it.publicIp] : [],
    'network-interface.ipv6-addresses.ipv6-address': it.ipv6 ? [it.ipv6] : [],
    'ipv6-address': it.ipv6 ? [it.ipv6] : [],
    'private-dns-name': [it.privateDns],
    'dns-name': it.publicDns ? [it.publicDns] : [],
    'vpc-id': [it.vpcId],
    'subnet-id': [it.subnetId],
    'availability-zone': [it.zone],
    'tag-key': Object.keys(it.tags),
    'tag-value': Object.values(it.tags),
    platform: it.platform === 'Windows' ? ['windows'] : [],
  }
  const values = found[name]
  if (!values) throw new ApiError('InvalidParameterValue', `The filter '${name}' is invalid`)
  return values
}

const passes = (filters: Filter[] | undefined, look: (name: string) => string[]): boolean =>
  (filters ?? []).every(({Name, Value: wanted = []}) => wanted.some(one => look(Name).some(value => like(one, value))))

interface PageInput {
  Filter?: Filter[]
  InstanceId?: string[]
  InstanceConnectEndpointId?: string[]
  MaxResults?: string
  NextToken?: string
}

function page<T>(found: T[], {MaxResults, NextToken}: PageInput): {some: T[]; nextToken: string | undefined} {
  const [from, size] = [Number(NextToken ?? 0), Number(MaxResults ?? 1000)]
  return {some: found.slice(from, from + size), nextToken: from + size < found.length ? String(from + size) : undefined}
}

function described(it: Instance, code: Record<string, number>): Value {
  return {
    instanceId: it.id,
    imageId: 'ami-0a1b2c3d4e5f60718',
    instanceState: {code: code[it.state] ?? 16, name: it.state},
    instanceType: 't3.micro',
    launchTime: '2026-01-02T03:04:05.000Z',
    placement: {availabilityZone: it.zone, tenancy: 'default'},
    ...(it.platform === 'Windows' && {platform: 'windows'}),
    privateDnsName: it.privateDns,
    privateIpAddress: it.privateIp,
    ...(it.publicIp && {ipAddress: it.publicIp}),
    dnsName: it.publicDns ?? '',
    ...(it.ipv6 && {ipv6Address: it.ipv6}),
    subnetId: it.subnetId,
    vpcId: it.vpcId,
    networkInterfaceSet: [
      {
        networkInterfaceId: `eni-${it.id.slice(2)}`,
        privateIpAddress: it.privateIp,
        subnetId: it.subnetId,
        vpcId: it.vpcId,
        ipv6AddressesSet: it.ipv6 ? [{ipv6Address: it.ipv6}] : [],
      },
    ],
    tagSet: Object.entries(it.tags).map(([key, value]) => ({key, value})),
  }
}

function describeInstances({input, region, world, authorize}: Incoming<PageInput>): Value {
  authorize('ec2:DescribeInstances', '*')
  const here = world.instances.filter(it => it.region === region)
  const missing = input.InstanceId?.find(id => !here.some(it => it.id === id))
  if (missing) throw new ApiError('InvalidInstanceID.NotFound', `The instance ID '${missing}' does not exist`)
  const found = here.filter(it => (input.InstanceId?.includes(it.id) ?? true) && passes(input.Filter, name => looked(it, name)))
  const {some, nextToken} = page(found, input)
  const code = {pending: 0, running: 16, 'shutting-down': 32, terminated: 48, stopping: 64, stopped: 80}
  return {
    reservationSet: some.map(it => ({
      reservationId: `r-${it.id.slice(2)}`,
      ownerId: account,
      groupSet: [],
      instancesSet: [described(it, code)],
    })),
    nextToken,
  }
}

function describeEndpoints({input, region, world, authorize}: Incoming<PageInput>): Value {
  authorize('ec2:DescribeInstanceConnectEndpoints', '*')
  const found = world.endpoints.filter(
    it =>
      it.region === region &&
      (input.InstanceConnectEndpointId?.includes(it.id) ?? true) &&
      passes(input.Filter, name =>
        name === 'state' ? [it.state] : name === 'vpc-id' ? [it.vpcId] : name === 'subnet-id' ? [it.subnetId] : [],
      ),
  )
  const {some, nextToken} = page(found, input)
  return {
    instanceConnectEndpointSet: some.map(it => ({
      ownerId: account,
      instanceConnectEndpointId: it.id,
      instanceConnectEndpointArn: `arn:aws:ec2:${region}:${account}:instance-connect-endpoint/${it.id}`,
      state: it.state,
      stateMessage: '',
      dnsName: it.dnsName ?? world.host,
      ...(it.fipsDnsName && {fipsDnsName: it.fipsDnsName}),
      availabilityZone: `${region}a`,
      createdAt: '2026-01-02T03:04:05.000Z',
      vpcId: it.vpcId,
      subnetId: it.subnetId,
      preserveClientIp: false,
      securityGroupIdSet: [],
      networkInterfaceIdSet: [],
      tagSet: [],
    })),
    nextToken,
  }
}

/** What the first start prints: the public host keys. */
function consoleOutput({input, region, world, authorize}: Incoming<{InstanceId: string}>): Value {
  authorize('ec2:GetConsoleOutput', `arn:aws:ec2:${region}:${account}:instance/${input.InstanceId}`)
  const it = findInstance(world, input.InstanceId, region)
  const text = it.console ?? (it.consoleFile ? readFileSync(it.consoleFile, 'utf8') : '')
  return {instanceId: it.id, timestamp: new Date(world.now()).toISOString(), output: Buffer.from(text).toString('base64')}
}

function findInstance(world: World, id: string, region: string): Instance {
  const found = world.instances.find(it => it.id === id && it.region === region)
  if (!found) throw new ApiError('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`)
  return found
}

/** EC2. */
export const ec2Api: Api = {
  DescribeInstances: describeInstances,
  DescribeInstanceConnectEndpoints: describeEndpoints,
  GetConsoleOutput: consoleOutput,
}
