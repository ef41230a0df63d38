import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {pick} from '@prod/sdk/cli/ask'
import {openBrowser, openWith} from '@prod/sdk/cli/browser'
import {ProdCommand} from '@prod/sdk/cli/command'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {parseDuration, showClock} from '@prod/sdk/cli/durations'
import {passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'

type Aws = typeof import('@prod/aws/assume')
/** `held`: no approval is needed */
type Choosable = import('@prod/sdk/role-source').LocalRole & {held?: boolean; reach?: import('@prod/sdk/least-role').Reach}
type Obtained = Awaited<ReturnType<Aws['obtain']>>
interface Granted {
  obtain(mayLogIn: boolean): Promise<Obtained>
}
interface Flagged {
  reason?: string | undefined
  duration?: string | undefined
  incident?: string | undefined
  'break-glass': boolean
  nowait: boolean
  remaining?: number | undefined
  renewed: boolean
}

/** `prod assume ROLE [-- CMD…]` */
export default class Assume extends ProdCommand {
  static override summary = 'give a role to one command, a shell, the browser'
  static override description =
    'ROLE is an AWS profile or a role of IAM Identity Center (prod roles), for which no broker is needed, or a role of the broker: a grant that is held is used, else one is asked for and waited for. All after -- is the command, which gets credentials from a local endpoint that renews them. Without ROLE the least role that is known to allow the command is taken; without a command you get a shell with a marked prompt. Exits with the command’s own status.'
  static override usage = 'assume [ROLE] [--env] [--min-remaining T] [-- CMD…]'
  static override args = {
    role: Args.string({
      description: 'an AWS profile, SESSION/ACCOUNT/ROLE of IAM Identity Center, or a role of the broker',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    explain: Flags.boolean({
      default: true,
      allowNo: true,
      description: 'say on stderr why access was denied, where the command failed of that (setting explainAfterFailure)',
    }),
    env: Flags.boolean({description: 'plain variables, for a program that asks no endpoint; they end and are not renewed'}),
    'min-remaining': Flags.string({description: 'how long the credentials must live at least', helpValue: '30m'}),
    fresh: Flags.boolean({description: 'fetch credentials anew, whatever was kept'}),
    console: Flags.boolean({description: 'open the AWS console in the browser', exclusive: ['env', 'url']}),
    url: Flags.boolean({description: 'print the address that opens the AWS console; it is a secret', exclusive: ['env']}),
    'browser-profile': Flags.string({
      description: 'chrome:PROFILE or firefox:CONTAINER, for --console; else prod_browser_profile of the profile',
      helpValue: 'PROFILE',
      dependsOn: ['console'],
    }),
    reason: Flags.string({char: 'r', description: 'why, where a role of the broker is asked for'}),
    duration: Flags.string({char: 'd', description: 'for how long it is asked for', helpValue: '1h'}),
    incident: Flags.string({char: 'i', description: 'the incident this belongs to', helpValue: 'ID'}),
    'break-glass': Flags.boolean({
      description: 'take a role of the broker now, for an incident: loud, and reviewed after',
      dependsOn: ['incident'],
    }),
    nowait: Flags.boolean({description: 'where it must be approved, print the request id and end with 245'}),
    'write-profile': Flags.string({
      description: 'write a profile of this name that gets its credentials here',
      helpValue: 'NAME',
      exclusive: ['env'],
    }),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> staging -- aws s3 ls',
    '<%= config.bin %> <%= command.id %> -- aws s3 rm s3://reports/old.csv',
    '<%= config.bin %> <%= command.id %> staging --console',
    '<%= config.bin %> <%= command.id %> staging --json',
  ]

  async run(): Promise<unknown> {
    const at = this.argv.indexOf('--')
    const command = at < 0 ? [] : this.argv.slice(at + 1)
    // its name alone, never an argument
    if (command[0] !== undefined) this.usageTool = command[0].split('/').at(-1)
    const {args, flags} = await this.parse(Assume, at < 0 ? this.argv : this.argv.slice(0, at))
    const wanted = {
      ...(flags['min-remaining'] === undefined ? {} : {remaining: parseDuration(flags['min-remaining']) * 1000}),
      fresh: flags.fresh,
    }
    const aws = await import('@prod/aws/assume')
    const {roles, faults} = args.role === undefined ? aws.listRoles() : {roles: [], faults: []}
    for (const fault of faults) this.say(fault)
    const all = args.role === undefined ? [...roles, ...(await this.#brokerRoles(aws))] : []
    const name = args.role ?? (command.length > 0 ? this.#least(aws, command, all) : await choose(all))
    if (at >= 0 && command.length === 0) throw new ProdError('USAGE', 'there is no command after --', `prod assume ${name} -- CMD`)

    // an endpoint renews: then it is the grant that must last
    const renewed = !flags.env && !flags.console && !flags.url && (command.length > 0 || !this.jsonEnabled())
    const source = await this.#source(aws, name, {...flags, remaining: wanted.remaining, renewed}, command[0])
    if (!source) return undefined
    const obtain = source === 'local' ? () => aws.obtain(name, wanted) : () => source.obtain(true)

    if (flags['write-profile'] !== undefined) {
      const {child} = await obtain()
      const {path, written} = aws.writeProfile(name, flags['write-profile'], this.#program(), child.region)
      this.log(`${flags['write-profile']}: ${written ? 'written to' : 'is as it should be in'} ${path}`)
      return {profile: flags['write-profile'], role: name, path, written}
    }
    const shell = command.length === 0 && !this.jsonEnabled() && !flags.console && !flags.url ? aws.openShell(name) : undefined
    const {credentials, child} = await obtain()
    // there is one of this name: no word that was typed by mistake is told
    this.usageRole = name
    if (flags.console || flags.url) {
      const own = flags['browser-profile'] ?? child.browserProfile
      const url = await aws.signInUrl(credentials, {name, region: child.region})
      aws.countUse(name)
      if (flags.url) await this.#write(this.jsonEnabled() ? JSON.stringify({url}) : url)
      else {
        this.say(`opening the AWS console as ${name}`)
        await aws.openOnce(url, page => (own === undefined ? openBrowser(page) : openWith(aws.browserCommand(own, page))))
      }
      return {role: name}
    }
    if (command.length === 0 && !shell) {
      await this.#write(JSON.stringify(credentials))
      return undefined
    }
    aws.countUse(name)
    this.onInterrupt(() => undefined) // the command decides
    const words = shell?.command ?? command
    const env = shell?.env ?? process.env
    const denied = (denial: NonNullable<typeof this.usageDenial>) => {
      this.usageDenial = denial
    }
    const told = {explain: flags.explain, denied}
    if (flags.env) {
      const end = credentials.Expiration === undefined ? 'never end' : `end at ${credentials.Expiration} and are not renewed`
      this.say(`the credentials of ${name} stand in plain variables: whoever reads the environment has them, and they ${end}`)
      this.endWith(await aws.runPlain(words, {name, credentials, child, ...told}, env))
    } else {
      const renew = async (mayLogIn: boolean) =>
        (await (source === 'local' ? aws.obtain(name, {asking: mayLogIn ? 'browser' : 'nobody'}) : source.obtain(mayLogIn))).credentials
      this.endWith(await aws.serveChild(words, {name, credentials, from: Date.now(), child, renew, ...told}, env))
    }
    // stdout is the command's
    this.answered = true
    return undefined
  }

  /** Whether the role is one of this machine, else where the broker's grant gives credentials; undefined: its request is printed and waits. */
  async #source(aws: Aws, name: string, wish: Flagged, tool: string | undefined): Promise<'local' | Granted | undefined> {
    if (!wish['break-glass'] && this.brokerFlag === undefined && (!this.#knowsBroker() || aws.isLocal(name))) return 'local'
    const client = await this.connect()
    const {reason, duration, incident, nowait, remaining, renewed} = wish
    const grant = await (wish['break-glass'] ? aws.breakGlass : aws.obtainGrant)(client, name, {
      nowait,
      ...(reason === undefined ? {} : {reason}),
      ...(duration === undefined ? {} : {duration: parseDuration(duration)}),
      ...(incident === undefined ? {} : {incident}),
      ...(remaining === undefined ? {} : {remaining}),
      onInterrupt: act => this.onInterrupt(act),
    })
    if ('pending' in grant) {
      if (this.jsonEnabled()) await this.#write(JSON.stringify({request: grant.pending}))
      else this.log(grant.pending)
      this.endWith(245)
      return undefined
    }
    this.say(`${name}: grant ${grant.id} until ${showClock(grant.expiresAt, new Date())}`)
    const given = {...(tool === undefined ? {} : {tool}), ...(remaining === undefined || renewed ? {} : {remaining})}
    return {obtain: mayLogIn => aws.obtainGranted(client, grant, {...given, mayLogIn})}
  }

  /** The broker's roles, to choose from beside one's own; none where there is no broker, or it does not answer. */
  async #brokerRoles(aws: Aws): Promise<Choosable[]> {
    if (!this.#knowsBroker()) return []
    try {
      const roles = await aws.catalogRoles(this.broker())
      return roles.map(({name, summary, usable, active, class: kind, allows, reach = {}}) => {
        const held = active !== null || usable === 'now'
        const when = active !== null ? 'active' : usable === 'now' ? 'usable now' : 'after approval'
        const known = allows?.length ? allows : null
        return {
          name,
          source: 'broker',
          summary: `${summary}  ${when}`,
          account: reach.account ?? null,
          reach,
          allows: known,
          class: kind,
          fault: null,
          used: 0,
          held,
        }
      })
    } catch (error) {
      if (!(error instanceof ProdError) || this.brokerFlag !== undefined) throw error
      this.say(`the broker’s roles are missing here: ${error.message}`)
      return []
    }
  }

  #knowsBroker(): boolean {
    try {
      chooseBroker(readConfig(), this.brokerFlag)
      return true
    } catch (error) {
      if (this.brokerFlag !== undefined || process.env.PROD_BROKER) throw error
      return false
    }
  }

  /** The least role that is known to allow what the command does. */
  #least(aws: Aws, command: readonly string[], roles: readonly Choosable[]): string {
    const {name, why} = aws.leastFor(command, roles)
    this.say(why)
    return name
  }

  /** Writes what is secret: only where it was asked for, past the writer that would take it out. */
  async #write(text: string): Promise<void> {
    this.answered = true
    await passBytes('stdout', `${text}\n`)
  }

  /** How to start prod from any folder. */
  #program(): string[] {
    const started = process.argv[1]
    return started?.endsWith('.js') ? [process.execPath, started] : [this.config.bin]
  }
}

async function choose(roles: readonly Choosable[]): Promise<string> {
  const usable = roles.filter(({fault}) => fault === null)
  return pick({
    what: 'role',
    choices: usable.map(({name, summary}) => ({name, note: summary, value: name})),
    instead: 'prod assume ROLE -- CMD',
  })
}
