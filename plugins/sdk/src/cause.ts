import {ProdError} from './errors.ts'

/** Why a target cannot be reached: what is so, and what mends it. `{…}` stands for what was found. */
export interface Cause {
  readonly what: string
  readonly mend: string
}

/** One cause, or all that is missing at once, as the failure that a person sees. What was found comes from elsewhere: it is one short line. */
export function unreachable(
  all: readonly {cause: Cause; found?: Readonly<Record<string, string>> | undefined}[],
  options?: ErrorOptions,
): ProdError {
  const say = (part: keyof Cause): string =>
    [
      ...new Set(all.map(({cause, found = {}}) => cause[part].replaceAll(/\{(\w+)\}/g, (_, name: string) => oneLine(found[name] ?? '?')))),
    ].join('; ')
  return new ProdError('TARGET_UNREACHABLE', say('what'), say('mend'), options)
}

function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').slice(0, 300)
}
