import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {ToolClass} from '@prod/sdk'
import type {CatalogView, Usable} from '@prod/sdk/catalog-view'
import {filter} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {showClock} from '@prod/sdk/cli/durations'
import {table} from '@prod/sdk/cli/table'
import {ProdError} from '@prod/sdk/errors'
import {showDuration} from '@prod/sdk/grammar/duration'
import {type Candidate, leastRoles, type Need, onlyOn, parseNeed, type Reach, showNeed} from '@prod/sdk/least-role'
import type {LocalRole} from '@prod/sdk/role-source'
import {keepRoleNames, localRoles, roleSources} from '../catalog/local-roles.ts'
import {usableWords} from '../catalog/pick.ts'

/** A role as `--json` prints it: of the broker's catalog, or one that the person has on this machine. */
export interface ListedRole {
  name: string
  /** `broker`, `aws profile`, `aws identity center` */
  source: string
  summary: string
  usable: Usable
  class: ToolClass | null
  /** provider of a catalog role */
  provider: string | null
  maxSeconds: number | null
  /** ISO 8601 UTC: the end of the grant that is held */
  active: string | null
  account: string | null
  /** patterns of the actions it allows, alone or `ACTION on ARN`; null: not known */
  allows: string[] | null
  /** resources and regions that it keeps to, where its provider says so */
  reach?: Reach
  /** why it cannot be used as it stands */
  fault: string | null
}

/** The roles that a person has or could ask for. */
export default class Roles extends ProdCommand {
  static override summary = 'list the roles that I have, may use now or ask for'
  static override description =
    'AWS profiles and roles of IAM Identity Center on this machine, and the roles of the broker’s catalog where there is a broker. What was used most comes first.'
  static override args = {filter: Args.string({description: 'letters that occur in this order', ignoreStdin: true})}
  static override flags = {
    for: Flags.string({description: 'only those known to allow this, the least first', helpValue: '"ACTION on ARN"'}),
    refresh: Flags.boolean({description: 'ask IAM Identity Center again, after a login where one is needed'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> web',
    '<%= config.bin %> <%= command.id %> --for "dynamodb:DeleteItem on arn:aws:dynamodb:eu-west-1:111122223333:table/orders"',
  ]

  async run(): Promise<ListedRole[]> {
    const {args, flags} = await this.parse(Roles)
    const need = flags.for === undefined ? undefined : parseNeed(flags.for)
    if (flags.for !== undefined && !need) {
      throw new ProdError('USAGE', `${flags.for} is no action`, 'prod roles --for "s3:GetObject on arn:aws:s3:::reports/*"')
    }
    const sources = await roleSources(this.config)
    if (flags.refresh) await this.#refresh(sources)
    const {roles: local, faults} = await localRoles(sources)
    keepRoleNames(local)
    for (const fault of faults) this.say(fault)
    const all = [...local.map(fromLocal), ...(await this.#catalog(local.length > 0)).map(fromCatalog)]
    const filtered = filter(all, args.filter ?? '', role => `${role.name} ${role.summary}`)
    const found = need
      ? leastRoles(
          filtered.filter(({fault}) => fault === null).map(role => ({...candidateOf(role), role})),
          [need],
        ).map(({role}) => role)
      : filtered
    this.#show(found)
    if (need) this.#sayFor(need, filtered, found)
    else if (found.length === 0) this.say('no role fits')
    return found
  }

  #show(found: readonly ListedRole[]): void {
    const now = new Date()
    const rows = found.map(({name, usable, active, maxSeconds, summary, source, fault, class: kind}) => [
      name,
      fault !== null ? 'not as it stands' : active ? `active until ${showClock(active, now)}` : usableWords[usable],
      kind,
      maxSeconds === null ? null : `at most ${showDuration(maxSeconds)}`,
      source,
      fault ?? summary,
    ])
    this.log(table(['role', 'usable', 'class', 'for', 'from', {head: 'what', prose: true}], rows))
  }

  #sayFor(need: Need, all: readonly ListedRole[], found: readonly ListedRole[]): void {
    const [least] = found
    const unknown = all.filter(({allows}) => allows === null).length
    if (!least) this.say(`no role is known to allow ${showNeed(need)}`)
    else {
      const only = onlyOn(candidateOf(least), need.action)
      const bound = only === undefined ? '' : `, on ${only.slice(0, 3).join(', ')}${only.length > 3 ? ' and more' : ''} alone`
      this.say(`${least.name} is the least that is known to allow ${showNeed(need)}${bound}`)
    }
    if (need.resource !== null && found.some(role => onlyOn(candidateOf(role), need.action) === undefined))
      this.say('of a role that names no resources only the action is known: what it may reach AWS will say')
    if (unknown > 0) this.say(`of ${unknown === 1 ? '1 role' : `${unknown} roles`} it is not known what they allow`)
  }

  async #refresh(sources: Awaited<ReturnType<typeof roleSources>>): Promise<void> {
    const {startSpinner} = await import('@prod/sdk/cli/spinner')
    const spinner = startSpinner('asking for roles')
    try {
      for (const source of sources) await source.refresh?.(text => spinner.update(text))
    } finally {
      spinner.stop()
    }
  }

  /** The broker's, where one is known. `others`: there is something to show without. */
  async #catalog(others: boolean): Promise<CatalogView['roles']> {
    const named = this.brokerFlag
    try {
      chooseBroker(readConfig(), named)
    } catch (error) {
      if (others && named === undefined && !process.env.PROD_BROKER) return []
      throw error
    }
    try {
      const {api} = await import('@prod/sdk/api')
      return (await this.broker().call(api.catalog)).roles
    } catch (error) {
      if (!(error instanceof ProdError)) throw error
      if (!others || named !== undefined) throw error
      this.say(`the broker’s roles are missing here: ${error.message}`)
      if (error.hint !== undefined) this.say(`try: ${error.hint}`)
      return []
    }
  }
}

function candidateOf({name, allows, class: kind, usable, account, reach}: ListedRole): Candidate {
  return {...reach, name, allows, class: kind, held: usable === 'now', account}
}

function fromLocal({name, source, summary, account, allows, class: kind, fault}: LocalRole): ListedRole {
  return {
    name,
    source,
    summary,
    usable: fault === null ? 'now' : 'no',
    class: kind,
    provider: null,
    maxSeconds: null,
    active: null,
    account,
    allows,
    fault,
  }
}

function fromCatalog({
  name,
  summary,
  usable,
  class: kind,
  provider,
  maxSeconds,
  active,
  allows,
  reach = {},
}: CatalogView['roles'][number]): ListedRole {
  return {
    name,
    source: 'broker',
    summary,
    usable,
    class: kind,
    provider,
    maxSeconds,
    active,
    account: reach.account ?? null,
    // a catalog that says nothing does not say that it allows nothing
    allows: allows?.length ? allows : null,
    ...(reach.resources?.length || reach.regions?.length ? {reach: {resources: reach.resources ?? [], regions: reach.regions ?? []}} : {}),
    fault: null,
  }
}
