/** What there is on the pretended side: instances, clusters, documents, identities, and what was done to them. */
import type {AgentSettings} from './agent-parts.ts'
import type {Statement} from './policy.ts'

/** One machine. All of them run on this one, each in a folder of its own. */
export interface Instance {
  id: string
  region: string
  name: string
  tags: Record<string, string>
  privateIp: string
  privateDns: string
  publicIp?: string
  publicDns?: string
  ipv6?: string
  vpcId: string
  subnetId: string
  zone: string
  state: string
  platform: 'Linux' | 'Windows'
  /** whether its agent is connected to Session Manager */
  connected: boolean
  agent: Partial<AgentSettings>
  /** what its console shows, or the file that this is in */
  console?: string
  consoleFile?: string
}

/** An EC2 Instance Connect Endpoint; without a name it is reached at the stand-in itself. */
export interface Endpoint {
  id: string
  region: string
  vpcId: string
  subnetId: string
  state: string
  dnsName?: string
  fipsDnsName?: string
}

/** A role of IAM. */
export interface Role {
  name: string
  arn: string
  id: string
  allows: Statement[]
  /** ARNs or access keys of who may assume it; everybody who is known, where there are none */
  trusts?: string[]
  maxSeconds: number
  /** inline policies by name, as text */
  inline: Map<string, string>
}

/** A container of a task. */
export interface Container {
  name: string
  runtimeId?: string
  lastStatus: string
  /** lastStatus of ExecuteCommandAgent; undefined where there is none */
  execAgent?: string
  /** why that is so */
  execReason?: string
  image?: string
  imageDigest?: string
  agent?: Partial<AgentSettings>
}

/** A task of ECS. */
export interface Task {
  id: string
  service: string
  lastStatus: string
  enableExecuteCommand: boolean
  launchType: 'FARGATE' | 'EC2'
  platformVersion?: string
  taskDefinition: string
  /** milliseconds since 1970 */
  startedAt?: number
  tags?: Record<string, string>
  /** `overrides` of the task as ECS answers them */
  overrides?: Record<string, unknown>
  containers: Container[]
}

/** A cluster of ECS. */
export interface Cluster {
  name: string
  region: string
  kmsKeyId?: string
  /** NONE, DEFAULT, OVERRIDE */
  logging?: string
  /** where it logs what is done by ECS Exec, with OVERRIDE */
  logConfiguration?: Record<string, unknown>
  tasks: Task[]
  /** what services say where their tasks say something else */
  services?: Record<string, {enableExecuteCommand?: boolean}>
  /** task definitions by family:revision */
  definitions: Record<
    string,
    {
      taskRoleArn?: string
      networkMode?: string
      environment?: Record<string, string>
      readonlyRootFilesystem?: boolean
      initProcessEnabled?: boolean
      logDriver?: string
    }
  >
}

/** A document of Systems Manager. */
export interface Document {
  name: string
  type: 'Session' | 'Command' | 'Automation'
  owner: string
  version: string
  content: Record<string, unknown>
}

/** Who calls: a user, or a session of a role. */
export interface Identity {
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  arn: string
  userId: string
  /** what session ids begin with */
  name: string
  readonly allows: Statement[]
  /** the policy of the session, which bounds what is allowed */
  policy: Statement[] | undefined
  tags: Record<string, string>
  sourceIdentity: string
  issuedAt: number
  endsAt: number
}

/** One recorded call. */
export interface Call {
  service: string
  action: string
  region: string
  accessKeyId: string
  input: Record<string, unknown>
  /** `ok`, or the code it failed with */
  outcome: string
  at: number
}

/** The account that everything is in. */
export const account = '111122223333'

/** An instance with what is not said filled in. */
export function makeInstance(it: Partial<Instance> & {id: string}): Instance {
  const last = (Number.parseInt(it.id.slice(-2), 16) || 0) % 250
  const region = it.region ?? 'us-east-1'
  const name = it.name ?? it.tags?.Name ?? it.id
  const privateIp = it.privateIp ?? `10.0.1.${last}`
  return {
    region,
    privateDns: `ip-${privateIp.replaceAll('.', '-')}.ec2.internal`,
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    subnetId: 'subnet-0a1b2c3d4e5f60718',
    zone: `${region}a`,
    state: 'running',
    platform: 'Linux',
    connected: true,
    agent: {},
    ...it,
    name,
    privateIp,
    tags: {Name: name, ...it.tags},
  }
}

/** A role with what is not said filled in. */
export function makeRole(it: {name: string; allows: Statement[]; trusts?: string[]; maxSeconds?: number}): Role {
  return {
    arn: `arn:aws:iam::${account}:role/${it.name}`,
    id: `AROA${Buffer.from(it.name).toString('hex').toUpperCase().padEnd(16, '0').slice(0, 16)}`,
    maxSeconds: 3600,
    inline: new Map(),
    ...it,
  }
}

/** An endpoint in the VPC that instances are in where nothing is said. */
export const someEndpoints = (region: string): Endpoint[] => [
  {id: 'eice-0a1b2c3d4e5f60718', region, vpcId: 'vpc-0a1b2c3d4e5f60718', subnetId: 'subnet-0a1b2c3d4e5f60718', state: 'create-complete'},
]

/** Two web servers and a worker. */
export const someInstances = (): (Partial<Instance> & {id: string})[] => [
  {id: 'i-0a1b2c3d4e5f60001', name: 'web-1', privateIp: '10.0.1.11', tags: {Environment: 'production', Service: 'web'}},
  {id: 'i-0a1b2c3d4e5f60002', name: 'web-2', privateIp: '10.0.1.12', tags: {Environment: 'production', Service: 'web'}},
  {id: 'i-0a1b2c3d4e5f60003', name: 'worker-1', privateIp: '10.0.1.13', tags: {Environment: 'production', Service: 'worker'}},
]

/** One cluster with a service of two tasks, and one with commands switched off. */
export const someClusters = (region: string): Cluster[] => [
  {
    name: 'prod',
    region,
    definitions: {
      'web:7': {taskRoleArn: `arn:aws:iam::${account}:role/web-task`, networkMode: 'awsvpc'},
      'batch:3': {networkMode: 'awsvpc'},
    },
    tasks: [
      {
        id: '0123456789abcdef0123456789abcde0',
        service: 'web',
        lastStatus: 'RUNNING',
        enableExecuteCommand: true,
        launchType: 'FARGATE',
        platformVersion: '1.4.0',
        taskDefinition: 'web:7',
        containers: [
          {name: 'app', runtimeId: '0123456789abcdef0123456789abcde0-2531612879', lastStatus: 'RUNNING', execAgent: 'RUNNING'},
          {name: 'proxy', runtimeId: '0123456789abcdef0123456789abcde0-0527074092', lastStatus: 'RUNNING', execAgent: 'RUNNING'},
        ],
      },
      {
        id: '0123456789abcdef0123456789abcde1',
        service: 'web',
        lastStatus: 'RUNNING',
        enableExecuteCommand: true,
        launchType: 'FARGATE',
        platformVersion: '1.4.0',
        taskDefinition: 'web:7',
        containers: [{name: 'app', runtimeId: '0123456789abcdef0123456789abcde1-2531612879', lastStatus: 'RUNNING', execAgent: 'RUNNING'}],
      },
      {
        id: '0123456789abcdef0123456789abcde2',
        service: 'batch',
        lastStatus: 'RUNNING',
        enableExecuteCommand: false,
        launchType: 'FARGATE',
        platformVersion: '1.4.0',
        taskDefinition: 'batch:3',
        containers: [{name: 'job', runtimeId: '0123456789abcdef0123456789abcde2-2531612879', lastStatus: 'RUNNING'}],
      },
    ],
  },
]
