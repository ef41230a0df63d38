/**
 * Which names pass for others. A small table of the letters and signs that look like ASCII in common typefaces, chosen by
 * us after the kinds that Unicode Technical Standard 39 describes; compatibility forms (fullwidth, mathematical, ligatures) come by NFKC.
 */
const twins: Record<string, string> = {
  // Cyrillic
  а: 'a', с: 'c', ԁ: 'd', е: 'e', һ: 'h', і: 'i', ј: 'j', ӏ: 'l', о: 'o', р: 'p', ԛ: 'q', ѕ: 's', у: 'y', ү: 'y', ԝ: 'w', х: 'x', ѵ: 'v',
  А: 'A', В: 'B', С: 'C', Е: 'E', Н: 'H', І: 'I', Ј: 'J', К: 'K', М: 'M', О: 'O', Р: 'P', Ѕ: 'S', Т: 'T', Ү: 'Y', У: 'Y', Х: 'X', Ԛ: 'Q', Ԝ: 'W',
  // Greek
  α: 'a', ι: 'i', κ: 'k', ν: 'v', ο: 'o', ρ: 'p', υ: 'u', ϲ: 'c', ϳ: 'j',
  Α: 'A', Β: 'B', Ε: 'E', Ζ: 'Z', Η: 'H', Ι: 'I', Κ: 'K', Μ: 'M', Ν: 'N', Ο: 'O', Ρ: 'P', Τ: 'T', Υ: 'Y', Χ: 'X', Ϲ: 'C',
  // Armenian, Cherokee, Georgian, Lisu
  ո: 'n', ս: 'u', օ: 'o', հ: 'h', ց: 'g', զ: 'q', ք: 'p', Ꭺ: 'A', Ꭻ: 'J', Ꭼ: 'E', Ꮇ: 'M', Ꮋ: 'H', Ꮐ: 'G', Ꮓ: 'Z', Ꮤ: 'W', Ꮪ: 'S', Ꮯ: 'C', Ꮲ: 'P', Ꮩ: 'V', Ꭰ: 'D', Ꭱ: 'R', Ꭲ: 'T', Ꮮ: 'L', Ᏼ: 'B', ꓐ: 'B', ꓔ: 'T', ꓲ: 'I',
  // Latin beside ASCII
  ı: 'i', ȷ: 'j', ɑ: 'a', ɡ: 'g', ɩ: 'i', ɪ: 'i', ʏ: 'y', ᴏ: 'o', ᴄ: 'c', ᴠ: 'v', ᴡ: 'w', ᴢ: 'z', ꜱ: 's', ƅ: 'b', ɢ: 'g', ʀ: 'r', ɴ: 'n', ʟ: 'l', ǀ: 'l', ƽ: 's', ƨ: 's', ɋ: 'q',
  // dashes, slashes, dots, quotes, bars, tildes
  '\u2010': '-', '\u2011': '-', '\u2012': '-', '\u2013': '-', '\u2014': '-', '\u2015': '-', '\u2043': '-', '\u2212': '-', '\u02d7': '-', '\u2796': '-', '\u06d4': '-', '\u2e3a': '-', '\u30fc': '-', '\u4e00': '-', '\u1173': '-', '\u3161': '-',
  '\u2044': '/', '\u2215': '/', '\u2571': '/', '\u29f8': '/', '\u31d3': '/', '\u27cb': '/', '\u2216': '\\', '\u29f5': '\\', '\u29f9': '\\', '\u3033': '/', '\u4e3f': '/',
  '\u2018': "'", '\u2019': "'", '\u02bc': "'", '\u02b9': "'", '\u2032': "'", '\u201c': '"', '\u201d': '"', '\u2033': '"', '\u201a': ',', '\u066b': ',', '\u02f8': ':', '\u0589': ':', '\u2236': ':', '\ua789': ':', '\u05c3': ':', '\u037e': ';',
  '\u00b7': '.', '\u0660': '.', '\u06f0': '.', '\ua4f8': '.', '\u01c3': '!', '\u2223': '|', '\u2758': '|', '\u223c': '~', '\u02dc': '~', '\u204e': '*', '\u2217': '*', '\u2039': '<', '\u203a': '>', '\u2550': '=', '\ua4ff': '=', '\ua78a': '=', '\u3013': '=',
}

const marks = /\p{M}+/gu

/** What a text looks like in ASCII as far as it does: compatibility forms folded, twins replaced. Pure. */
export function skeleton(text: string): string {
  let out = ''
  for (const character of text.normalize('NFKC').replace(/\p{DI}/gv, '')) out += twins[character] ?? character
  return out
}

const scripts = [
  ['Latin', /\p{Script=Latin}/u],
  ['East Asian', /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}]/u],
  ['other', /[[\p{L}]--[\p{Script=Latin}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Common}\p{Script=Inherited}]]/v],
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
    const found = scripts.filter(([, letters]) => letters.test(word)).map(([name]) => name)
    return found.includes('other') && found.length > 1
  })
  return mixes ? seen.replace(marks, '') : undefined
}

/** Whether a name could be taken for another one. Pure. */
export function confusable(name: string): boolean {
  return looksLike(name) !== undefined
}
