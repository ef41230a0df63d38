import {ProdError} from './errors.ts'
import {showLine} from './text.ts'

/** Visible characters that a reason needs at least (TM-I1). */
export const minReasonCharacters = 10
/** Characters that a reason may have at most: what the wire carries. */
export const maxReasonCharacters = 4096

/**
 * Checks the words that say why, for the CLI before it sends and for the broker when it reads: trimmed, one line, at least ten visible
 * characters with letters or digits among them, nothing that acts or hides. Answers the trimmed text; throws REASON_INVALID. Pure.
 */
export function checkReason(text: string): string {
  const reason = text.trim()
  const fault = faultOf(reason)
  if (fault) throw new ProdError('REASON_INVALID', `the reason ${fault}`, '--reason "what for, in a sentence"')
  return reason
}

/** Checks the words that a review files, for the CLI and for the broker: ten letters or digits at least. Throws REASON_INVALID. Pure. */
export function checkNote(note: string): string {
  if ((note.match(/[\p{L}\p{N}]/gu) ?? []).length < minReasonCharacters)
    throw new ProdError(
      'REASON_INVALID',
      'a review says in words what was found: 10 letters at least',
      '--note "what was done, and what must follow"',
    )
  return note
}

function faultOf(reason: string): string | undefined {
  if (reason === '') return 'is empty'
  if (reason.length > maxReasonCharacters) return `is longer than ${maxReasonCharacters} characters`
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(reason)) return `holds a control character: ${showLine(reason).slice(0, 80)}`
  const visible = [...reason.replace(/[\p{C}\p{Z}\p{M}\p{DI}\u2800\ufffc]/gv, '')]
  if (visible.length < minReasonCharacters)
    return `has ${visible.length === 1 ? 'one visible character' : `${visible.length} visible characters`}, ${minReasonCharacters} are needed`
  if (visible.filter(character => /[\p{L}\p{N}]/u.test(character)).length < minReasonCharacters / 2) return 'holds hardly a word'
  return undefined
}
