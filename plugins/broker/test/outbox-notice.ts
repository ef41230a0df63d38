import type {Notice} from '@prod/sdk'

export function notice(id: string, changed: Partial<Notice> = {}): Notice {
  return {
    id,
    type: 'request.created',
    at: '2026-11-22T03:04:05.678Z',
    urgency: 'info',
    title: 'a request waits for approval',
    principal: 'alice',
    target: 'web (production)',
    risk: 'change',
    digest: 'ab'.repeat(32),
    subject: 'req_1',
    reason: 'restart after the leak',
    next: 'prod request approve req_1',
    ...changed,
  }
}
