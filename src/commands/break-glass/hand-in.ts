import type {HandedIn} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {handInAll} from '../../offline/hand-in.ts'

/** Brings home what was done without the broker. */
export default class BreakGlassHandIn extends ProdCommand {
  static override summary = 'hand in what was recorded while the broker was gone; it also goes along with a later command'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<{handedIn: HandedIn[]}> {
    await this.parse(BreakGlassHandIn)
    const handedIn = await handInAll(await this.connect())
    this.log(
      handedIn.length === 0
        ? 'nothing waits to be handed in'
        : handedIn.map(({session, review, faults}) => {
            const said = faults.length === 0 ? '' : `; security was told: ${faults.join(', ')}`
            return review === null ? `${session} is handed in${said}` : `${session} is handed in; its review waits: ${review}${said}`
          }),
    )
    return {handedIn}
  }
}
