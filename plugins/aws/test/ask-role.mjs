// What a foreign program does with an endpoint of its own, where the AWS CLI is missing: fetches credentials, asks IAM for a role.
const given = await fetch(process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI, {
  headers: {authorization: process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN},
})
if (!given.ok) {
  console.error(await given.text())
  process.exit(1)
}
const {AccessKeyId, Token} = await given.json()
const answer = await fetch(process.env.AWS_ENDPOINT_URL, {
  method: 'POST',
  headers: {
    authorization: `AWS4-HMAC-SHA256 Credential=${AccessKeyId}/20261122/us-east-1/iam/aws4_request, Signature=0`,
    'x-amz-security-token': Token,
  },
  body: new URLSearchParams({Action: 'GetRole', RoleName: process.argv[2]}),
})
console.log(await answer.text())
process.exit(answer.ok ? 0 : 1)
