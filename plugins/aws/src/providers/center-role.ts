/** What a catalog role of provider aws-identity-center says. Pure. */
import {readParameters} from './parameters.ts'

/** One permission set in one account. */
export interface CenterRole {
  instance: string
  permissionSet: string
  account: string
  /** of the instance */
  region: string
  /** where its people are */
  identityStore: string
  /** the permission set's name: what the portal calls the role */
  role: string
  startUrl: string
}

const arn = (kind: string): RegExp => new RegExp(`^arn:aws[a-z-]*:sso:::${kind}/[\\w/.-]{1,128}$`)
const fields = {
  instance: {form: arn('instance'), required: true},
  permissionSet: {form: arn('permissionSet'), required: true},
  account: {form: /^\d{12}$/, required: true},
  region: {form: /^[a-z]{2}(?:-[a-z]+)+-\d$/, required: true},
  identityStore: {form: /^d-[0-9a-z]{10}$|^[0-9a-f-]{36}$/, required: true},
  role: {form: /^[\w+=,.@-]{1,32}$/, required: true},
  startUrl: {form: /^https:\/\/[\w.-]+(?:\/[\w./-]*)?$/, required: true},
}
const example =
  "parameters: { instance: 'arn:aws:sso:::instance/ssoins-…', permissionSet: 'arn:aws:sso:::permissionSet/ssoins-…/ps-…', account: '111122223333', region: eu-west-1, identityStore: d-1234567890, role: Deploy, startUrl: 'https://corp.awsapps.com/start' }"

/** Reads the parameters. Throws CATALOG_INVALID. */
export function parseCenterRole(parameters: Record<string, unknown>): CenterRole {
  // every field is required
  return {...readParameters('aws-identity-center', parameters, fields, example)} as unknown as CenterRole
}

/** Which assignment it is, but for the person. */
export const placeOf = ({instance, permissionSet, account}: CenterRole): string => `${instance} ${permissionSet} ${account}`
