import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {tunnelUrl} from '../plugins/ec2-instance-connect/src/tunnel.ts'
import {presign} from '../plugins/ssm/src/aws/sign.ts'

const {instanceConnectTunnel, rdsAuthToken} = JSON.parse(readFileSync(new URL('data/ssm-vectors.json', import.meta.url), 'utf8')) as {
  instanceConnectTunnel: {
    name: string
    dnsName: string
    instanceConnectEndpointId: string
    remotePort: number
    privateIpAddress: string
    maxTunnelDuration: number | null
    accessKeyId: string
    secretAccessKey: string
    sessionToken: string
    region: string
    time: string
    presignedUrl: string
  }[]
  rdsAuthToken: {
    host: string
    port: number
    user: string
    region: string
    accessKeyId: string
    secretAccessKey: string
    sessionToken: string
    time: string
    token: string
  }[]
}

test.each(instanceConnectTunnel)('the URL of a tunnel is signed as the AWS CLI signs it: $name', vector => {
  const {dnsName, instanceConnectEndpointId: id, privateIpAddress: privateIp, remotePort: port, region, time, presignedUrl} = vector
  const {accessKeyId, secretAccessKey, sessionToken, maxTunnelDuration} = vector
  const keys = {accessKeyId, secretAccessKey, ...(sessionToken ? {sessionToken} : {})}
  const more: Record<string, string> = maxTunnelDuration === null ? {} : {maxTunnelDuration: String(maxTunnelDuration)}
  expect(tunnelUrl({endpoint: {id, dnsName}, privateIp, port}, region, keys, new Date(time), more)).toBe(presignedUrl)
})

test.each(rdsAuthToken)('what signs a tunnel signs any GET so: the login of a database for $user', vector => {
  const {host, port, user, region, accessKeyId, secretAccessKey, time, token} = vector
  const url = new URL(`https://${host}:${port}/?Action=connect&DBUser=${user}`)
  const signed = presign({url, service: 'rds-db', region, seconds: 900, at: new Date(time)}, {accessKeyId, secretAccessKey})
  expect(signed.replace('https://', '')).toBe(token)
})
