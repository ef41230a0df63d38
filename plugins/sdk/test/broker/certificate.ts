/** Certificates for tests (X.509 v3, P-256), signed by themselves or by an authority of their own, built here so that the tests need nothing but Node. */
import {generateKeyPairSync, type KeyObject, sign} from 'node:crypto'

const tlv = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const time = (moment: number): Buffer => tlv(0x17, Buffer.from(`${new Date(moment).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

const ecdsaWithSha256 = tlv(0x30, hex('06082a8648ce3d040302'))
const nameOf = (text: string): Buffer => tlv(0x30, tlv(0x31, tlv(0x30, hex('0603550403'), tlv(0x0c, Buffer.from(text)))))
const day = 86_400_000

/** What a certificate is for. */
export interface CertificateName {
  /** IPv4 or IPv6 */
  ip?: string
  dns?: string
}

/** A certificate for one name, signed by itself, valid since a month for `days` more; negative: it has expired. */
export function makeCertificate(name: CertificateName, days = 2): {key: string; cert: string} {
  const {privateKey, publicKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const cert = certificate({
    subject: 'prod test',
    issuer: 'prod test',
    publicKey,
    signer: privateKey,
    names: alternative(name),
    isAuthority: true,
    days,
  })
  return {key: pem(privateKey), cert}
}

/** A throw-away authority: its certificate, and how it issues one for a name. */
export function makeAuthority(title: string): {cert: string; issue(name: CertificateName): {key: string; cert: string}} {
  const {privateKey: signer, publicKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const shared = {issuer: title, signer, days: 2}
  return {
    cert: certificate({...shared, subject: title, publicKey, isAuthority: true}),
    issue(name) {
      const made = generateKeyPairSync('ec', {namedCurve: 'P-256'})
      const cert = certificate({...shared, subject: 'prod test', publicKey: made.publicKey, names: alternative(name), isAuthority: false})
      return {key: pem(made.privateKey), cert}
    },
  }
}

interface Wanted {
  subject: string
  issuer: string
  publicKey: KeyObject
  signer: KeyObject
  names?: Buffer
  isAuthority: boolean
  days: number
}

function certificate({subject, issuer, publicKey, signer, names, isAuthority, days}: Wanted): string {
  const extensions = tlv(
    0x30,
    ...(names ? [tlv(0x30, hex('0603551d11'), tlv(0x04, tlv(0x30, names)))] : []),
    tlv(0x30, hex('0603551d13'), hex('0101ff'), tlv(0x04, tlv(0x30, ...(isAuthority ? [hex('0101ff')] : [])))),
  )
  const body = tlv(
    0x30,
    tlv(0xa0, hex('020102')),
    tlv(0x02, Buffer.from([1, ...crypto.getRandomValues(new Uint8Array(8))])),
    ecdsaWithSha256,
    nameOf(issuer),
    tlv(0x30, time(Date.now() - 30 * day), time(Date.now() + days * day)),
    nameOf(subject),
    publicKey.export({type: 'spki', format: 'der'}),
    tlv(0xa3, extensions),
  )
  const der = tlv(0x30, body, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), sign('sha256', body, signer)))
  return `-----BEGIN CERTIFICATE-----\n${der
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n')}\n-----END CERTIFICATE-----\n`
}

function alternative({ip, dns = ''}: CertificateName): Buffer {
  if (ip === undefined) return tlv(0x82, Buffer.from(dns))
  if (!ip.includes(':')) return tlv(0x87, Buffer.from(ip.split('.').map(Number)))
  const [head = [], tail = []] = ip.split('::').map(part => part.split(':').filter(word => word !== ''))
  const words = [...head, ...Array.from({length: 8 - head.length - tail.length}, () => '0'), ...tail]
  return tlv(0x87, hex(words.map(word => word.padStart(4, '0')).join('')))
}

const pem = (key: KeyObject): string => key.export({type: 'pkcs8', format: 'pem'}) as string
