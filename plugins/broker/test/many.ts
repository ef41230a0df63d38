/** A tool with six targets, and runs on many of them as a client sees them. */
import type {RolloutTarget, ServerMessage} from '@prod/sdk/wire'
import {type Core, type OnFinished, type Person, type Run, startCore} from './core.ts'

const names = ['w1', 'w2', 'w3', 'w4', 'w5', 'w6']

const tool = (dir: string) => `kind: Tool
name: fleet
summary: the same on many targets
program: ${dir}/bin/job
run: { primitive: host, targets: [${names.join(', ')}] }
env: { JOB_DIR: ${dir}/jobs }
detachSeconds: 1
commands:
  - { path: [note], class: change, operands: [{ name: word, type: { type: string } }, { name: delay, type: { type: string }, min: 0 }], rollout: { maxTargets: 5, batch: 2, stopOnError: false } }
  - { path: [wait], class: change, operands: [{ name: word, type: { type: string } }], rollout: { batch: 2, maxPercent: 50 } }
  - { path: [fail], class: change, operands: [{ name: status, type: { type: string } }], rollout: { batch: 1 } }
  - { path: [stubborn], class: change }
  - { path: [say], class: read, operands: [{ name: words, type: { type: string }, min: 1, max: 9 }] }
  - { path: [cat], class: read, stdin: true }
  - { path: [both], class: read, operands: [{ name: bytes, type: { type: string } }], rollout: { batch: 3, pause: 1s } }
`
const rules = `@id("fleet-run")
permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"fleet") unless { resource is fleet::wait };
@id("fleet-request")
permit (principal in Group::"engineers", action == Action::"request", resource in Tool::"fleet");
@id("fleet-approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"fleet");
@id("fleet-not-w6")
forbid (principal, action == Action::"run", resource in Target::"w6") when { resource is fleet::note };
`

/** Files of the broker's folder. */
export function fleetFiles(dir: string): Record<string, string> {
  return {
    'catalog/tools/fleet.yaml': tool(dir),
    'policy/global/fleet.cedar': rules,
    ...Object.fromEntries(
      names.map((name, at) => [
        `catalog/targets/${name}.yaml`,
        `kind: Target\nname: ${name}\naddress: host:${name}\nenvironment: ${at < 4 ? 'production' : 'staging'}\nlabels: { rack: ${at % 2 ? 'b' : 'a'} }\n`,
      ]),
    ),
  }
}

/** A core whose catalog has them. */
export async function startFleet(onFinished: OnFinished, settings: Parameters<typeof startCore>[1] = {}): Promise<Core> {
  const core = await startCore(onFinished, settings)
  const files = Object.entries(fleetFiles(core.dir))
  // targets first: what a file names must be there
  for (const [name, text] of [...files.slice(2), ...files.slice(0, 2)]) await core.change(name, text)
  return core
}

/** One run on many targets, its runs taken up as they begin. */
export interface Many {
  control: Run
  /** as the broker tells it, target by target */
  states: Map<string, RolloutTarget>
  runs: Map<string, Run>
  /** what each run put out, once all is over */
  over: Promise<{endedBy: string | null; outputs: Map<string, string>}>
}

/** Follows it: `control` is the stream of the whole. */
export function followMany(who: Person, control: Run): Many {
  const states = new Map<string, RolloutTarget>()
  const runs = new Map<string, Run>()
  let endedBy: string | null = null
  const take = (message: ServerMessage): void => {
    if (message.type !== 'rollout') return
    for (const one of message.targets) {
      states.set(one.target, one)
      if (one.run !== null && !runs.has(one.target)) runs.set(one.target, who.attach(one.run))
    }
    endedBy = message.over?.endedBy ?? endedBy
  }
  control.onMessage(take)
  const over = (async () => {
    await control.done
    const outputs = new Map<string, string>()
    for (const [target, run] of runs) outputs.set(target, (await run.done).stdout.toString())
    return {endedBy, outputs}
  })()
  over.catch(() => {})
  return {control, states, runs, over}
}
