/** What a notice says. Header fields come first and from the store; `reason` is somebody's words and must stay inert. */
export interface Notice {
  /** the same for every try of one notice: receivers drop repeats by it */
  id: string
  /** such as `request.created`, `break-glass.started` */
  type: string
  /** ISO 8601 UTC: when it was made, not when it is sent */
  at: string
  urgency: 'info' | 'alert'
  title: string
  principal: string
  target: string
  risk: string
  digest: string | null
  /** id of what it is about: req_, ses_, run_ */
  subject: string
  reason: string
  /** the command to type next */
  next: string | null
}

/** Proof that a receiver took the notice. */
export interface Delivered {
  receiver: string
  at: string
}

/** Sends notices to one receiver. */
export interface Notifier {
  readonly id: string
  readonly summary: string
  /** Checks a channel's configuration and gives the channel. Pure. Throws CONFIG_INVALID. */
  channel(name: string, config: Record<string, unknown>): NoticeChannel
}

/** One receiver, as the operator configured it. */
export interface NoticeChannel {
  readonly name: string
  /** Accepted, or throws. Safe to repeat with the same notice. */
  send(notice: Notice, signal: AbortSignal): Promise<Delivered>
  /**
   * The configuration of this channel for one person, who sends from their own machine when the broker is gone (TM-O6): what it signs by speaks
   * for `holder` alone, and a receiver can tell. Absent: this channel is the broker's alone.
   */
  forHolder?(holder: string): Promise<{notifier: string; config: Record<string, unknown>}>
}

/** Types a notifier. */
export function defineNotifier(notifier: Notifier): Notifier {
  return notifier
}
