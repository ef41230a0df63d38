/** What to type next, for each category. Words of the message enter a command only where no shell could read more into them. */
import type {Category, NextCommand} from '../explainer.ts'
import type {Finding} from './finding.ts'

/**
 * `{word}` is a field or a captured word of the message, `{need}` an action that names its service. Of several commands the first counts of which
 * no word is missing or other than plain. `by`: only of these explainers.
 */
interface Template {
  command: string | readonly string[]
  why: string
  by?: readonly string[]
}

const ask: Template = {command: 'prod request create', why: 'ask for a role that may, for some time'}
const whoIsIt = {command: 'aws sts get-caller-identity', why: 'see which identity was refused'}
const noRole = (owner: string): Template => ({command: whoIsIt.command, why: `no role helps: tell ${owner} this identity and the action`})

/** The first that fits is the one to type. */
export const templates: Readonly<Record<Category, readonly Template[]>> = {
  role_assume_denied: [{command: 'prod roles', why: 'see the roles that you may use or ask for'}, ask, whoIsIt],
  action_not_allowed: [
    {
      command: ['prod roles --for "{need} on {resource}"', 'prod roles --for {need}', 'prod roles'],
      why: 'see which role allows it, the least first: the one in use lacks the action',
    },
    ask,
  ],
  explicit_deny_identity: [noRole('the owner of the policy'), {command: 'prod roles', why: 'see whether another role is meant for this'}],
  scp_deny: [noRole('whoever keeps the organization’s policies')],
  rcp_deny: [noRole('whoever keeps the policies of the organization that owns the resource')],
  permissions_boundary: [noRole('whoever set the boundary')],
  session_policy: [
    {command: 'prod grant ls', why: 'see which grant this session came from: a session with a narrower policy was made'},
    ask,
  ],
  resource_policy: [noRole('the owner of the resource, whose policy decides')],
  vpc_endpoint_policy: [noRole('the owner of the VPC endpoint')],
  kms_key: [
    {command: 'aws kms describe-key --key-id {key}', why: 'see whose key it is, and whether it is enabled', by: ['aws']},
    {command: 'prod roles', why: 'see which role may use the key'},
  ],
  credentials_expired: [{command: 'prod grant ls', why: 'see whether the grant behind the credentials has ended'}, ask],
  credentials_missing: [
    {command: 'vault login', why: 'log in to Vault', by: ['vault']},
    {command: 'az login', why: 'log in to Azure', by: ['azure']},
    {command: 'docker login', why: 'log in to the registry', by: ['registry']},
    {command: 'aws configure list', why: 'see where the tool looks for credentials', by: ['aws']},
    {command: 'prod roles', why: 'see the roles that you may use'},
  ],
  credentials_invalid: [
    {command: 'vault login', why: 'log in to Vault again', by: ['vault']},
    {command: 'az login', why: 'log in to Azure again', by: ['azure']},
    {command: 'ssh-add -l', why: 'see which keys are offered', by: ['ssh']},
    {command: 'docker login', why: 'log in to the registry again', by: ['registry']},
    {command: 'aws configure list', why: 'see which credentials are sent, and where they come from', by: ['aws']},
    {command: 'prod whoami', why: 'see your login and active grants'},
  ],
  mfa_required: [
    {command: 'aws iam list-mfa-devices', why: 'see which device belongs to you, then give its code', by: ['aws']},
    {command: 'prod login', why: 'log in again, with the second factor'},
  ],
  clock_skew: [{command: 'date -u', why: 'compare with the true time, and let the machine set its clock'}],
  sso_session_expired: [{command: ['aws sso login --profile {profile}', 'aws sso login'], why: 'log in again'}],
  target_unreachable: [
    {
      command: [
        'aws ssm describe-instance-information --filters Key=InstanceIds,Values={instance}',
        'aws ssm describe-instance-information',
      ],
      why: 'see whether its agent is registered and online',
      by: ['ssm'],
    },
    {command: 'aws ecs list-clusters', why: 'find the task, and whether ECS Exec is enabled for it', by: ['ecs']},
    {command: 'gcloud compute instances list', why: 'see whether it is running, in which project and zone', by: ['gcp']},
    {command: 'prod targets', why: 'see which targets there are, and how each can be reached'},
  ],
  k8s_rbac: [
    {
      command: [
        'kubectl auth can-i {verb} {kind} --namespace {namespace}',
        'kubectl auth can-i {verb} {kind}',
        'kubectl auth can-i --list',
      ],
      why: 'ask the cluster again once a role is bound',
    },
    ask,
  ],
  k8s_unauthenticated: [
    {command: 'kubectl config current-context', why: 'see which cluster and user are meant'},
    {command: 'aws sts get-caller-identity', why: 'on EKS: see whether AWS still knows you'},
  ],
  gcp_iam: [
    {command: 'gcloud auth list', why: 'see which account was refused'},
    {command: 'prod roles', why: 'see which roles you may ask for'},
  ],
  gcp_unauthenticated: [
    {command: 'gcloud auth login', why: 'log in again'},
    {command: 'gcloud auth application-default login', why: 'where it was a library or Terraform: they have a login of their own'},
  ],
  db_auth: [{command: 'prod roles', why: 'see which roles reach this database'}, ask],
  network_denied: [
    {command: 'prod doctor', why: 'see what this machine reaches'},
    {command: 'prod targets', why: 'see how the target can be reached'},
  ],
  throttled: [{command: 'aws configure set retry_mode adaptive', why: 'let the AWS tools slow down by themselves', by: ['aws']}],
  not_a_denial: [],
  unknown_denial: [
    {command: 'vault token lookup', why: 'see which policies the token has, and when it ends', by: ['vault']},
    {command: 'sudo -l', why: 'see what sudo lets you do on this machine', by: ['sudo']},
    {
      command: 'aws sts decode-authorization-message --encoded-message {encoded}',
      why: 'read the reason, with a role that may decode it; prod explain --decode does both',
    },
    {command: whoIsIt.command, why: 'see which identity was refused', by: ['aws', 'registry']},
    {command: 'prod roles', why: 'see the roles that you may use or ask for'},
  ],
}

/** A word that every shell takes as one word and no program as an option, or as an address to read from (`file://` of the AWS CLI). */
const plainWord = /^(?![A-Za-z0-9+.-]*:\/\/)[A-Za-z0-9][A-Za-z0-9_.:/@+=-]{0,4095}$/

/** What each word of a command must be besides: what its tool takes there. */
const forms: Readonly<Record<string, RegExp>> = {
  key: /^(?:arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(?:key|alias)\/|alias\/)[A-Za-z0-9/_-]{1,256}$/,
  instance: /^m?i-[0-9a-f]{8,17}$/,
  // of a message that was cut short nothing can be read
  encoded: /^[\w-]{12,10240}$/,
  verb: /^[a-z]{1,40}$/,
  kind: /^[a-z][a-z0-9.-]{0,250}(?:\/[a-z]{1,63})?$/,
  namespace: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
}

/** An action as `prod roles --for` takes it. */
const namedAction = /^[a-z0-9-]+:[A-Za-z0-9]+$/

/** A registry that is AWS’s own: it knows callers by their AWS identity. Of any other AWS knows nothing. */
const ofAws = /\.amazonaws\.com\b/

/** Up to three commands, the one to type first. Pure. */
export function nextCommands({category, fields, encoded, words, by}: Finding): NextCommand[] {
  const need = namedAction.test(fields.action ?? '') ? fields.action : null
  const {resource} = fields
  // the instance that stands alone, or at the end of an ARN
  const known: Record<string, string | null | undefined> = {
    ...words,
    ...fields,
    encoded,
    need,
    key: resource,
    instance: resource?.split('/').at(-1),
  }
  const isFit = (name: string): boolean => plainWord.test(known[name] ?? '') && (forms[name]?.test(known[name] ?? '') ?? true)
  const next = templates[category].flatMap(({command, why, by: only}) => {
    if (only && !only.includes(by)) return []
    if (by === 'registry' && command === whoIsIt.command && !ofAws.test(fields.resource ?? '')) return []
    const fitting = [command].flat().find(one => wordsOf(one).every(isFit))
    return fitting === undefined ? [] : [{command: fitting.replace(/\{(\w+)\}/g, (_, name: string) => known[name] as string), why}]
  })
  return next.filter(({command}, index) => next.findIndex(other => other.command === command) === index).slice(0, 3)
}

function wordsOf(command: string): string[] {
  return [...command.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string)
}
