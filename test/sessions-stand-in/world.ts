/** What there is on the pretended side: instances, clusters, documents, identities, and what was done to them. */
import type {AgentSettings} from './agent.ts'
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
  vpcId: string
  subnetId: string
  zone: string
  state: string
  platform: 'Linux' | 'Windows'
  /** whether its agent is connected to Session Manager */
  connected: boolean
  agent: Partial<AgentSettings>
}

/** A container of a task. */
export interface Container {
  name: string
  runtimeId?: string
  lastStatus: string
  /** lastStatus of ExecuteCommandAgent; undefined where there is none */
  execAgent?: string
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
  containers: Container[]
}

/** A cluster of ECS. */
export interface Cluster {
  name: string
  region: string
  kmsKeyId?: string
  tasks: Task[]
  /** task definitions by family:revision */
  definitions: Record<string, {taskRoleArn?: string; networkMode?: string; environment?: Record<string, string>}>
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
  allows: Statement[]
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

const instance = (id: string, name: string, last: number, more: Partial<Instance> = {}): Instance => ({
  id,
  region: 'us-east-1',
  name,
  tags: {Name: name, Environment: 'production'},
  privateIp: `10.0.1.${last}`,
  privateDns: `ip-10-0-1-${last}.ec2.internal`,
  vpcId: 'vpc-0a1b2c3d4e5f60718',
  subnetId: 'subnet-0a1b2c3d4e5f60718',
  zone: 'us-east-1a',
  state: 'running',
  platform: 'Linux',
  connected: true,
  agent: {},
  ...more,
})

/** An instance with what is not said filled in. */
export function makeInstance(it: Partial<Instance> & {id: string}): Instance {
  const last = (Number.parseInt(it.id.slice(-2), 16) || 0) % 250
  const made = instance(it.id, it.name ?? it.id, last, it)
  return {...made, zone: it.zone ?? `${made.region}a`, tags: {Name: made.name, ...it.tags}}
}

/** Two web servers and a worker. */
export const someInstances = (): Instance[] => [
  instance('i-0a1b2c3d4e5f60001', 'web-1', 11, {tags: {Name: 'web-1', Environment: 'production', Service: 'web'}}),
  instance('i-0a1b2c3d4e5f60002', 'web-2', 12, {tags: {Name: 'web-2', Environment: 'production', Service: 'web'}}),
  instance('i-0a1b2c3d4e5f60003', 'worker-1', 13, {tags: {Name: 'worker-1', Environment: 'production', Service: 'worker'}}),
]

/** One cluster with a service of two tasks, and one with commands switched off. */
export const someClusters = (): Cluster[] => [
  {
    name: 'prod',
    region: 'us-east-1',
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
