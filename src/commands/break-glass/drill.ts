import * as Args from '@oclif/core/args'
import type {HandedIn} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {fetchKit} from '@prod/sdk/cli/kit'
import {type DrillStep, drill} from '../../offline/drill.ts'
import {handInAll} from '../../offline/hand-in.ts'
import {openKit} from '../../offline/kit.ts'

/** Practises it while nothing burns. */
export default class BreakGlassDrill extends ProdCommand {
  static override summary = 'practise break-glass without the broker: kit, alerts, recording, hand-in'
  static override description =
    'Each alert channel gets a notice that is marked as a drill and must accept it; a recording is sealed, read back and handed in. With a target its shell is opened by your own role and left again, and its name is typed as in earnest.'
  static override args = {target: Args.string({description: 'a target of the kit, whose shell is opened and left again'})}
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> web-1']

  async run(): Promise<{session: string; steps: DrillStep[]; handedIn: HandedIn}> {
    const {args} = await this.parse(BreakGlassDrill)
    const client = await this.connect()
    await fetchKit(client)
    const steps: DrillStep[] = []
    const {session} = await drill({config: this.config, kit: await openKit(client.broker), target: args.target}, step => {
      steps.push(step)
      this.log(`ok  ${step.step}: ${step.detail}`)
    })
    const handedIn = (await handInAll(client)).find(one => one.session === session) as HandedIn
    this.log(`ok  handed in: ${session}, ${handedIn.next} entries`)
    return {session, steps, handedIn}
  }
}
