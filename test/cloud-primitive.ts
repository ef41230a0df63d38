/** A primitive that reaches AWS by the credential it is given, for tests: `call:ACTION` asks IAM, `renew` takes a fresh one, `hold` waits. */
import {PassThrough} from 'node:stream'
import {type Access, type Channel, definePrimitive, type Exit, type Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'

/** What it was given, newest last: for tests in the same process. */
export const given: {use: Use; access: Access}[] = []

/** Uses that were over: whether their credential was still let in then. */
export const released: {id: string; status: number}[] = []

/** What the next release waits for. */
export const far: {settled: Promise<void>} = {settled: Promise.resolve()}

/** By what was looked for targets. */
export const looked: Access[] = []

/** Asks the role about itself; the HTTP status. */
export async function call(credential: Readonly<Record<string, string>>, action: string, role: string): Promise<number> {
  const response = await fetch(process.env.AWS_ENDPOINT_URL as string, {
    method: 'POST',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${credential.AccessKeyId}/20261122/us-east-1/iam/aws4_request, Signature=0`,
      'x-amz-security-token': credential.SessionToken as string,
    },
    body: new URLSearchParams({Action: action, RoleName: role}),
  })
  await response.body?.cancel()
  return response.status
}

export const primitive = definePrimitive<{role: string}>({
  id: 'cloud',
  summary: 'a role that is asked about itself',
  uses: ['exec', 'shell', 'forward'],
  parse: text => ({role: text.split('/')[0] as string}),
  async *discover({within}, access) {
    looked.push(access)
    yield {address: `cloud:${within?.role}/one`, name: 'one', labels: {}}
  },
  async release(id) {
    await far.settled
    const last = given.findLast(({access}) => access.id === id)
    if (last) released.push({id, status: await call(last.access.credential, 'GetRole', 'reach')})
  },
  permissions: ({role}) => [{kind: 'aws', actions: ['iam:GetRole'], resources: [`arn:aws:iam::*:role/${role}`]}],
  async open({role}, use, access) {
    given.push({use, access})
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
    const over = Promise.withResolvers<Exit>()
    const finish = (exit: Exit): void => {
      stdout.end()
      stderr.end()
      over.resolve(exit)
    }
    let {credential} = access
    const act = async (word: string): Promise<void> => {
      if (word === 'renew') credential = (await access.renew?.()) ?? {}
      else if (word === 'fail') throw new ProdError('TARGET_UNREACHABLE', 'this one is never reached')
      else stdout.write(`${word} ${await call(credential, word.slice(5), role)}\n`)
    }
    const words = use.kind === 'exec' ? use.argv.slice(1) : []
    if (words.includes('fail')) await act('fail')
    void (async () => {
      for (const word of words.filter(one => one !== 'hold')) await act(word)
      if (use.kind === 'exec' && !words.includes('hold')) finish({status: 0})
      else stdout.write('holding\n')
    })().catch((error: unknown) => {
      stderr.write(String(error))
      finish({status: 1})
    })
    const channel: Channel = {
      stdin,
      stdout,
      stderr,
      resize: () => {},
      signal: () => {},
      async end() {
        finish({signal: 'SIGKILL'})
        return over.promise
      },
      ended: over.promise,
    }
    return channel
  },
})
