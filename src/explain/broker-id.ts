/** Whether a word names a run or a request of a broker. Pure. */
export function isBrokerId(text: string): boolean {
  return /^(?:run|req)_[0-9a-z]{8,40}$/.test(text.trim())
}
