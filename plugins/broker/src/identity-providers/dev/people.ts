/** Who there is in a development broker: three people, and what `DIR/people.json` adds, changes or takes away while it runs. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

export interface DevPerson {
  sub: string
  name: string
  /** person id: two accounts of one person have the same */
  person: string
  groups: string[]
}

const builtIn: Record<string, string[]> = {alice: ['engineers'], bob: ['sre-leads'], carol: ['security']}
const name = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/

/** `{"dave": {"groups": ["engineers"], "person"?: "alice", "sub"?: "d-1"}, "bob": null}`; read at each question, the last good one holds. */
export function openPeople(dir: string): () => Map<string, DevPerson> {
  let last = merge({})
  return () => {
    try {
      last = merge(JSON.parse(readFileSync(join(dir, 'people.json'), 'utf8')) as Record<string, unknown>)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') last = merge({})
    }
    return last
  }
}

function merge(extra: Record<string, unknown>): Map<string, DevPerson> {
  const people = new Map(Object.entries(builtIn).map(([who, groups]) => [who, {sub: who, name: who, person: who, groups}]))
  for (const [who, given] of Object.entries(extra)) {
    if (given === null) people.delete(who)
    if (!name.test(who) || typeof given !== 'object' || given === null) continue
    const {groups, person = who, sub = who} = given as Record<string, unknown>
    if (!Array.isArray(groups) || !groups.every(one => typeof one === 'string') || typeof person !== 'string' || typeof sub !== 'string')
      continue
    people.set(who, {sub, name: who, person, groups})
  }
  return people
}
