import type {ClientInfo} from '../wire.ts'

declare const PROD_VERSION: string | undefined

/** What a stream says of this program. */
export function clientInfo(): ClientInfo {
  return {version: typeof PROD_VERSION === 'string' ? PROD_VERSION : 'dev', platform: `${process.platform}-${process.arch}`}
}
