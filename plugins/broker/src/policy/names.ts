/** Cedar compares bytes. So that no other spelling of a name slips past a forbid, spellings that only look alike are refused (TM-L4). */

/**
 * Why a name of a person or group may not be asked about, or undefined. `known`: folded form → the spelling that policy uses.
 * A name that differs from a policy's name in case, in a trailing dot, in percent-encoding or in Unicode form alone is its twin.
 */
export function oddName(name: string, known: ReadonlyMap<string, string>): string | undefined {
  if (name === '' || name.length > 512) return 'is empty or too long'
  if (!name.isWellFormed() || name !== name.normalize('NFC')) return 'is not in Unicode normal form C'
  if (/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|^\s|\s$/u.test(name)) return 'has invisible characters'
  if (scripts.filter(script => script.test(name)).length > 1) return 'mixes scripts that look alike'
  const twin = known.get(fold(name))
  return twin !== undefined && twin !== name ? `is not spelled as the policy's ${JSON.stringify(twin)}` : undefined
}

/** What twins have in common. Pure. */
export function fold(name: string): string {
  return decode(name).normalize('NFKC').toLowerCase().normalize('NFKC').trim().replace(/\.+$/, '')
}

const scripts = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u]

function decode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
