import {join} from 'node:path'
import {Config} from '@oclif/core/config'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {type FlagShape, stopAtTool, toolIndex} from '../src/exec-argv.ts'

const flags: Record<string, FlagShape> = {
  reason: {type: 'option', char: 'r'},
  on: {type: 'option', aliases: ['target']},
  wait: {type: 'boolean', char: 'w'},
  quiet: {type: 'boolean', char: 'q'},
  json: {type: 'boolean'},
}

test.for([
  ['exec kubectl get --help --json', 'exec -- kubectl get --help --json'],
  ['exec --reason why kubectl get', 'exec --reason why -- kubectl get'],
  ['exec --reason=why kubectl', 'exec --reason=why -- kubectl'],
  ['exec -r why kubectl -r x', 'exec -r why -- kubectl -r x'],
  ['exec -rwhy kubectl', 'exec -rwhy -- kubectl'],
  ['exec -wr why kubectl', 'exec -wr why -- kubectl'],
  ['exec -wq kubectl', 'exec -wq -- kubectl'],
  ['exec --reason - kubectl', 'exec --reason - -- kubectl'],
  ['exec --on a --target b kubectl', 'exec --on a --target b -- kubectl'],
  ['exec --wait kubectl -- -x', 'exec --wait -- kubectl -- -x'],
  ['exec --reason why -- kubectl --help', 'exec --reason why -- kubectl --help'],
  ['exec --reason -- kubectl', 'exec --reason -- -- kubectl'],
  ['exec --unknown kubectl', 'exec --unknown -- kubectl'],
  ['exec', 'exec'],
  ['exec --help', 'exec --help'],
  ['exec --reason why', 'exec --reason why'],
])('our options stop at the tool: %s', ([typed = '', passed = '']) => {
  expect(stopAtTool(typed.split(' '), flags).join(' ')).toBe(passed)
})

test('nothing is lost, joined or reordered, whatever the arguments', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('--', '-', '--reason', '-r', '-wr', '--json', 'tool'))), argv => {
      const passed = stopAtTool(['exec', ...argv], flags)
      const index = toolIndex(argv, flags)
      const inserted = index >= 0 && index < argv.length
      expect(passed).toHaveLength(argv.length + 1 + (inserted ? 1 : 0))
      expect(inserted ? passed.toSpliced(index + 1, 1) : passed).toEqual(['exec', ...argv])
    }),
  )
})

/** A command of the shape of `exec`, whose parser is the real one. */
class Probe extends ProdCommand {
  static override strict = false
  static override flags = {reason: Flags.string({char: 'r'}), wait: Flags.boolean({char: 'w'})}
  async run(): Promise<void> {}
  async words(): Promise<unknown[]> {
    return (await this.parse(Probe)).argv
  }
}

test('TM-H5: the tool gets its arguments in their order, each as often as it was typed', async () => {
  const config = await Config.load({root: join(import.meta.dirname, '..'), userPlugins: false, devPlugins: false})
  const tool = fc.array(fc.oneof(fc.string(), fc.constantFrom('--', '-', '--reason', '-r', '--json', '--help', 'a', 'b')), {maxLength: 8})
  await fc.assert(
    fc.asyncProperty(tool, async rest => {
      const argv = ['tool', ...rest]
      const passed = stopAtTool(['exec', '--reason', 'a', '-w', ...argv], {
        reason: {type: 'option', char: 'r'},
        wait: {type: 'boolean', char: 'w'},
      })
      expect(await new Probe(passed.slice(1), config).words()).toEqual(argv)
    }),
  )
})
