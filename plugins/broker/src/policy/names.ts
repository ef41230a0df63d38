/** Cedar compares bytes. So that no other spelling of a name slips past a forbid, what only looks like a name of the policy is refused (TM-L4). */

/** Why the policy may not write a name so, or undefined. Pure. */
export function oddName(name: string): string | undefined {
  if (name === '' || name.length > maxLength) return 'is empty or too long'
  if (!name.isWellFormed() || name !== name.normalize('NFC')) return 'is not in Unicode normal form C'
  if (invisible.test(name) || name !== name.trim()) return 'has invisible characters'
  return scripts.filter(script => script.test(name)).length > 1 ? 'mixes scripts that look alike' : undefined
}

/**
 * Why a person or group of this name may not be asked about, or undefined: it is another spelling of a name that the policy
 * uses, by case, invisible signs, a trailing dot, percent-encoding, Unicode form or look-alike letters. `known`: folded form →
 * the policy's spelling. Names that policy does not know may be as they like. Pure.
 */
export function twinOf(name: string, known: ReadonlyMap<string, string>): string | undefined {
  if (name === '' || name.length > maxLength || !name.isWellFormed()) return 'is no name'
  const spelling = known.get(fold(name))
  return spelling === undefined || spelling === name ? undefined : `is not spelled as the policy's ${JSON.stringify(spelling)}`
}

/** What twins have in common. Pure. */
export function fold(name: string): string {
  const plain = decode(name).normalize('NFKC').replaceAll(new RegExp(invisible, 'gu'), '').toLowerCase().normalize('NFKC')
  return [...plain]
    .map(letter => alike.get(letter) ?? letter)
    .join('')
    .trim()
    .replace(/\.+$/, '')
}

const maxLength = 512
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u
const scripts = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u]

/** Lower-case letters of other scripts that are drawn as Latin ones. Source: Unicode's confusables.txt, the common ones. */
const alike = new Map(
  [...'аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwкkмmтtвbнhгrαaοoνvρpτtυuιiκkχxεeıi']
    .map((letter, at, all) => [letter, all[at + 1] as string] as const)
    .filter((_, at) => at % 2 === 0),
)

function decode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
