/** Self-signed certificates for tests (X.509 v3, P-256), built here so that the tests need nothing but Node. */
import {generateKeyPairSync, sign} from 'node:crypto'

const tlv = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const time = (moment: number): Buffer => tlv(0x17, Buffer.from(`${new Date(moment).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

/** A certificate for one name, valid since a month for `days` more; negative: it has expired. */
export function makeCertificate(name: {ip?: string; dns?: string}, days = 2): {key: string; cert: string} {
  const {privateKey, publicKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const ecdsaWithSha256 = tlv(0x30, hex('06082a8648ce3d040302'))
  const subject = tlv(0x30, tlv(0x31, tlv(0x30, hex('0603550403'), tlv(0x0c, Buffer.from('prod test')))))
  const alternative =
    name.ip === undefined ? tlv(0x82, Buffer.from(name.dns ?? '')) : tlv(0x87, Buffer.from(name.ip.split('.').map(Number)))
  const extensions = tlv(
    0x30,
    tlv(0x30, hex('0603551d11'), tlv(0x04, tlv(0x30, alternative))),
    tlv(0x30, hex('0603551d13'), hex('0101ff'), tlv(0x04, tlv(0x30, hex('0101ff')))),
  )
  const day = 86_400_000
  const body = tlv(
    0x30,
    tlv(0xa0, hex('020102')),
    tlv(0x02, Buffer.from([1, ...crypto.getRandomValues(new Uint8Array(8))])),
    ecdsaWithSha256,
    subject,
    tlv(0x30, time(Date.now() - 30 * day), time(Date.now() + days * day)),
    subject,
    publicKey.export({type: 'spki', format: 'der'}),
    tlv(0xa3, extensions),
  )
  const der = tlv(0x30, body, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), sign('sha256', body, privateKey)))
  const cert = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  return {key: privateKey.export({type: 'pkcs8', format: 'pem'}) as string, cert}
}
