/** What every notifier must do, as tests: a notice is accepted or `send` throws, in bounded time, and no secret leaks. */
import {inspect} from 'node:util'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {Notice, Notifier} from '../notifier.ts'

/** A real receiver on this machine that speaks the service's protocol. */
export interface Receiver {
  /** a channel's configuration that leads to it */
  config: Record<string, unknown>
  /** texts that must never be seen in an error */
  secrets: string[]
  /** what it does from now on: takes notices, refuses them, never answers, cuts the connection */
  answer(how: 'accept' | 'refuse' | 'hang' | 'cut'): void
  /** ids of the notices it got, in order, as it reads them from the bytes */
  received(): string[]
  stop(): Promise<void>
}

/** What the suite needs to know of one notifier. */
export interface NotifierContract {
  notifier: Notifier
  /** configurations that `channel` must refuse */
  badConfigs: Record<string, unknown>[]
  start(): Promise<Receiver>
}

const patienceMilliseconds = 500
const boundMilliseconds = 5000

/** Registers the suite. */
export function notifierContract(options: NotifierContract): void {
  const {notifier} = options

  describe(`notifier ${notifier.id}`, () => {
    let receiver: Receiver
    beforeAll(async () => {
      receiver = await options.start()
    })
    afterAll(() => receiver?.stop())
    const send = (notice: Notice, signal = AbortSignal.timeout(boundMilliseconds)) =>
      notifier.channel('contract', receiver.config).send(notice, signal)

    test.each(options.badConfigs)('refuses the configuration %j', bad => {
      expect(() => notifier.channel('contract', bad)).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
    })

    test('a channel keeps its name', () => {
      expect(notifier.channel('pager', receiver.config).name).toBe('pager')
    })

    test('a notice that was taken is told so', async () => {
      receiver.answer('accept')
      const notice = newNotice()
      const {receiver: who, at} = await send(notice)
      expect(who).not.toBe('')
      expect(Date.parse(at)).not.toBeNaN()
      expect(receiver.received()).toContain(notice.id)
    })

    test('the same notice sent twice carries one id', async () => {
      receiver.answer('accept')
      const notice = newNotice()
      await send(notice)
      await send(notice)
      const ids = receiver.received().slice(-2)
      expect(ids).toEqual([notice.id, notice.id])
    })

    test("somebody's words arrive, whatever they hold", async () => {
      receiver.answer('accept')
      const notice = {...newNotice(), reason: '*bold* <@everyone> "q" \\ \u202e\u0000\u001b[31m {"id":"other"}\r\nHeader: x'}
      await send(notice)
      expect(receiver.received().at(-1)).toBe(notice.id)
    })

    test.each(['refuse', 'cut'] as const)('a receiver that does not take it (%s) makes it throw', async how => {
      receiver.answer(how)
      await expect(send(newNotice())).rejects.toThrow()
    })

    test('a receiver that never answers is waited for no longer than asked', async () => {
      receiver.answer('hang')
      const began = performance.now()
      await expect(send(newNotice(), AbortSignal.timeout(patienceMilliseconds))).rejects.toThrow()
      expect(performance.now() - began).toBeLessThan(boundMilliseconds)
    })

    test('no error holds a secret of the channel', async () => {
      for (const how of ['refuse', 'cut', 'hang'] as const) {
        receiver.answer(how)
        const error: unknown = await send(newNotice(), AbortSignal.timeout(patienceMilliseconds)).then(
          () => undefined,
          caught => caught,
        )
        const said = inspect(error, {depth: 10}) + String((error as Error | undefined)?.stack)
        for (const secret of receiver.secrets) expect(said).not.toContain(secret)
      }
    })
  })
}

let count = 0

function newNotice(): Notice {
  count += 1
  return {
    id: `notice_contract${Date.now().toString(36)}${count}`,
    type: 'request.created',
    at: new Date().toISOString(),
    urgency: 'alert',
    title: 'a request waits',
    principal: 'alice',
    target: 'local (production)',
    risk: 'change',
    digest: null,
    subject: 'req_contract',
    reason: 'a test of the contract',
    next: 'prod request show req_contract',
  }
}
