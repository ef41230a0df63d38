import {ProdCommand} from '@prod/sdk/cli/command'
import {paint, terminalWidth, wrap} from '@prod/sdk/cli/output'
import {columns} from '@prod/sdk/text'
import {checkLogin, checkReach} from '../doctor/broker-checks.ts'
import {
  checkChoice,
  checkConfig,
  checkFolders,
  checkKeychain,
  checkNode,
  checkSpool,
  checkTerminal,
  type Finding,
} from '../doctor/checks.ts'

/** Columns that a finding needs beside its name, to be broken between words there. */
const leastRoom = 20

/** Looks at this machine, the broker and the login, and says what to mend. */
export default class Doctor extends ProdCommand {
  static override summary = 'check this machine, the broker and the login'
  static override description =
    'Each line says what was looked at, whether it is well, and what to type where it is not. Ends with 1 when something is not well.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<{ok: boolean; version: string; checks: Finding[]}> {
    await this.parse(Doctor)
    const {finding, config} = checkConfig()
    const checks = [checkNode(), ...checkFolders(), finding, checkTerminal(), checkSpool()]
    if (config) checks.push(await checkKeychain(config), ...(await this.#broker(config)))
    const ok = checks.every(check => check.ok)

    this.log(paint('bold', `prod ${this.config.version}`))
    const width = Math.max(...checks.map(({name}) => columns(name)))
    const before = ' '.repeat('FAIL    '.length + width)
    const room = process.stdout.isTTY ? terminalWidth() - before.length : Number.POSITIVE_INFINITY
    this.log(
      checks.flatMap(({name, ok: well, detail, next, skipped}) => {
        const [first, ...further] = room < leastRoom ? [detail] : wrap(detail, room)
        return [
          `${skipped ? paint('dim', '--  ') : well ? paint('green', 'ok  ') : paint('red', 'FAIL')}  ${name.padEnd(width)}  ${first}`,
          ...further.map(row => before + row),
          ...(next === undefined ? [] : [`${before}try: ${next}`]),
        ]
      }),
    )
    if (!ok) this.endWith(1)
    return {ok, version: this.config.version, checks}
  }

  async #broker(config: NonNullable<ReturnType<typeof checkConfig>['config']>): Promise<Finding[]> {
    const {finding, broker} = checkChoice(config, this.brokerFlag)
    if (!broker) return [finding]
    const reach = await checkReach(broker)
    const answers = reach.every(({name, ok}) => ok || name === 'clock')
    return [finding, ...reach, ...(answers ? await checkLogin(() => this.connect(), new Date()) : [])]
  }
}
