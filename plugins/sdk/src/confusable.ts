/**
 * Which names pass for others. A small table of the letters and signs that look like ASCII in common typefaces, chosen by
 * us after the kinds that Unicode Technical Standard 39 describes; compatibility forms (fullwidth, mathematical, ligatures) come by NFKC.
 */
/** Each pair is a letter and what it looks like. */
const pairs = [
  // Cyrillic
  'аa сc ԁd еe һh іi јj ӏl оo рp ԛq ѕs уy үy ԝw хx ѵv АA ВB СC ЕE НH ІI ЈJ КK МM ОO РP ЅS ТT ҮY УY ХX ԚQ ԜW',
  // Greek
  'αa ιi κk νv οo ρp υu ϲc ϳj ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ϹC',
  // Armenian, Cherokee, Georgian, Lisu
  'ոn սu օo հh ցg զq քp ᎪA ᎫJ ᎬE ᎷM ᎻH ᏀG ᏃZ ᏔW ᏚS ᏟC ᏢP ᏙV ᎠD ᎡR ᎢT ᏞL ᏴB ꓐB ꓔT ꓲI',
  // Latin beside ASCII
  'ıi ȷj ɑa ɡg ɩi ɪi ʏy ᴏo ᴄc ᴠv ᴡw ᴢz ꜱs ƅb ɢg ʀr ɴn ʟl ǀl ƽs ƨs ɋq',
  // dashes, slashes, dots, quotes, bars, tildes
  '\u2010- \u2011- \u2012- \u2013- \u2014- \u2015- \u2043- \u2212- \u02d7- \u2796- \u06d4- \u2e3a- \u30fc- \u4e00- \u1173-',
  `\u3161- \u2044/ \u2215/ \u2571/ \u29f8/ \u31d3/ \u27cb/ \u2216\\ \u29f5\\ \u29f9\\ \u3033/ \u4e3f/ \u2018' \u2019' \u02bc'`,
  `\u02b9' \u2032' \u201c" \u201d" \u2033" \u201a, \u066b, \u02f8: \u0589: \u2236: \ua789: \u05c3: \u037e; \u00b7. \u0660.`,
  '\u06f0. \ua4f8. \u01c3! \u2223| \u2758| \u223c~ \u02dc~ \u204e* \u2217* \u2039< \u203a> \u2550= \ua4ff= \ua78a= \u3013=',
]
/** Put together when the first name beyond ASCII is met, as the classes below: a start that meets none does not pay for them. */
let twins: ReadonlyMap<string, string> | undefined
const twinOf = (character: string): string | undefined => {
  twins ??= new Map(pairs.flatMap(line => line.split(' ').map(pair => [pair.charAt(0), pair.charAt(1)] as const)))
  return twins.get(character)
}

/** What a text looks like in ASCII as far as it does: compatibility forms folded, twins replaced. Pure. */
export function skeleton(text: string): string {
  let out = ''
  for (const character of text.normalize('NFKC').replace(/\p{DI}/gv, '')) out += twinOf(character) ?? character
  return out
}

let scripts: ReturnType<typeof makeScripts> | undefined
const makeScripts = () =>
  [
    ['Latin', /\p{Script=Latin}/u],
    ['East Asian', /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}]/u],
    [
      'other',
      /[[\p{L}]--[\p{Script=Latin}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Common}\p{Script=Inherited}]]/v,
    ],
  ] as const

/**
 * What a name passes for: the ASCII text it looks like, or its skeleton where one word mixes Latin with another alphabet.
 * Undefined for honest names in any script (`Müller`, `Сергей`, `日本`). Pure.
 */
export function looksLike(text: string): string | undefined {
  if (/^[\x20-\x7e]*$/.test(text)) return undefined
  const seen = skeleton(text)
  if (/^[\x20-\x7e]*$/.test(seen)) return seen
  const mixes = text.split(/[^\p{L}\p{M}]+/u).some(word => {
    scripts ??= makeScripts()
    const found = scripts.filter(([, letters]) => letters.test(word)).map(([name]) => name)
    return found.includes('other') && found.length > 1
  })
  return mixes ? seen.replace(/\p{M}+/gu, '') : undefined
}

/** Whether a name could be taken for another one. Pure. */
export function confusable(name: string): boolean {
  return looksLike(name) !== undefined
}
