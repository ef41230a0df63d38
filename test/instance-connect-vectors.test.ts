import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {tunnelUrl} from '../plugins/ec2-instance-connect/src/tunnel.ts'

const {instanceConnectTunnel} = JSON.parse(readFileSync(new URL('data/ssm-vectors.json', import.meta.url), 'utf8')) as {
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
}

test.each(instanceConnectTunnel)('the URL of a tunnel is signed as the AWS CLI signs it: $name', vector => {
  const {dnsName, instanceConnectEndpointId: id, privateIpAddress: privateIp, remotePort: port, region, time, presignedUrl} = vector
  const {accessKeyId, secretAccessKey, sessionToken, maxTunnelDuration} = vector
  const keys = {accessKeyId, secretAccessKey, ...(sessionToken ? {sessionToken} : {})}
  const more: Record<string, string> = maxTunnelDuration === null ? {} : {maxTunnelDuration: String(maxTunnelDuration)}
  expect(tunnelUrl({endpoint: {id, dnsName}, privateIp, port}, region, keys, new Date(time), more)).toBe(presignedUrl)
})
