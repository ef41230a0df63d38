/** Every time and bound of the channel in one place; what is not known of the service (§25) is one of these. Milliseconds, bytes, messages. */
export const timings = {
  /** the whole of a first connection, tries included */
  openMs: 30_000,
  /** one upgrade */
  upgradeMs: 15_000,
  /** from the first connection to an agent that is ready, where it must greet; generous: it may still be starting */
  greetingMs: 60_000,
  /** so long a shell waits for a greeting that comes only where sessions are encrypted, §9.1; and once the service says that the agent is there */
  graceMs: 3_000,
  presentMs: 1_000,
  /** a first pause before a new connection; each next one is twice as long, up to the last, §16 */
  firstPauseMs: 200,
  lastPauseMs: 15_000,
  /** so long without a connection, all pauses together, and the session is given up; without a bound it ends with the right, or with a word of AWS */
  patienceMs: Number.POSITIVE_INFINITY,
  /** a connection that stood so long earns its patience anew */
  standingMs: 60_000,
  /** the person is told of a lost connection after so long */
  tellMs: 5_000,
  /** §17 */
  pingMs: 30_000,
  deadMs: 75_000,
  /**
   * A message unanswered for so long: the person is told; and the session given up. Long, since an agent whose target takes nothing,
   * as a database that waits for a lock, answers nothing either, and a session whose agent is gone is ended by the service.
   */
  silentMs: 30_000,
  unansweredMs: 1_800_000,
  /** how often what is unanswered is looked at */
  tickMs: 50,
  /** while the service says that the agent is away, the oldest message goes out all the same, §8 */
  probeMs: 5_000,
  /** an end is waited for */
  endMs: 2_000,
  /** after an exit status, output may still come, §12 */
  afterExitMs: 5_000,
  /** one keep-alive of smux each, for old agents, §14.3 */
  smuxKeepAliveMs: 10_000,
  /** between two connections of the basic form: what is under way of the first is dropped, §13.2 */
  settleMs: 200,
}

export type Timings = typeof timings

export const bounds = {
  /** unanswered messages: at first, at most, and at least after losses, §8 and §24 */
  firstWindow: 64,
  largestWindow: 1024,
  smallestWindow: 16,
  /** numbers between the oldest unanswered message and the next: the agent's reorder buffer is larger */
  span: 8192,
  /** what came too early, §6 */
  reorderMessages: 10_000,
  reorderBytes: 16 * 2 ** 20,
  /** the last answers, given again on a new connection, and where one seems to have been lost: those that are older than this */
  answers: 1024,
  underWayMs: 20,
  /** what came before the session was ready */
  earlyBytes: 2 ** 20,
  /** input that an agent which greets late has thrown away, kept to be sent again */
  replayBytes: 64 * 1024,
  /** words of the far side for a person, in characters */
  wordSigns: 1000,
  /** unread output before the far side is made to wait */
  unreadBytes: 2 ** 20,
  /** unread bytes of one of several connections before it is reset, §14.4 */
  stuckBytes: 8 * 2 ** 20,
  /** largest message taken; the service's is not known (§25) */
  messageBytes: 2 ** 20,
  /** more than so much in our own socket: nothing is sent a second time */
  backlogBytes: 256 * 1024,
}
