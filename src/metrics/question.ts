/** The question after a session. */
import {askKey} from '@prod/sdk/cli/ask'
import {readConfig} from '@prod/sdk/cli/config'
import {tellsUsage} from '@prod/sdk/cli/usage'

const seconds = 3

/** How it went, 1 to 5, if the person says so: not asked where `wanted` is false, the setting or telemetry is off, or nobody is at a terminal. */
export async function askHowItWent(wanted: boolean): Promise<number | undefined> {
  if (!wanted || !tellsUsage() || readConfig().askAfterSession === 'off') return undefined
  const key = await askKey({what: 'how did it go? 1 (bad) to 5 (good), any other key: no answer', keys: '12345', seconds})
  return key === undefined ? undefined : Number(key)
}
