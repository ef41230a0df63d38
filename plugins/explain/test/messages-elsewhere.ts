import type {Row} from './messages.ts'

/** Kubernetes, Google, databases, registries and networks again: documented wordings in which a name or the reason had been lost. */
export const elsewhere: readonly Row[] = [
  // Kubernetes
  [
    'unable to fully scrape metrics: request failed, status: "403 Forbidden": unable to fetch metrics summary from Kubelet ip-10-1-2-3 (10.1.2.3): request failed - "403 Forbidden"',
    'k8s_rbac',
    {resource: 'ip-10-1-2-3'},
  ],
  [
    'certificatesigningrequests.certificates.k8s.io "web" is forbidden: user not permitted to approve requests with signerName "shop.example/web"',
    'k8s_rbac',
    undefined,
  ],
  [
    'an error occurred forwarding 8080 -> 80: error forwarding port 80 to pod 1f2e, uid : failed to connect to localhost:80 inside namespace "1f2e", IPv4: dial tcp4 127.0.0.1:80: connect: connection refused',
    'network_denied',
    {resource: 'localhost:80'},
  ],
  ['E0101 12:00:00.000000 1 portforward.go:234] lost connection to pod', 'target_unreachable', {}],
  [
    'level=warning msg="access denied" error="input token was not properly formatted: X-Amz-Date parameter is expired (15 minute expiration)"',
    'k8s_unauthenticated',
    {},
  ],
  // the `user "` that another word ends with begins no name
  [
    'DatabaseUser "orders" was not synced: pods is forbidden: User "system:serviceaccount:shop:sync" cannot list resource "pods" in API group "" in the namespace "shop"',
    'k8s_rbac',
    {principal: 'system:serviceaccount:shop:sync', action: 'list pods', resource: 'shop'},
  ],
  // Argo CD
  [
    'rpc error: code = PermissionDenied desc = permission denied: applications, sync, default/web, sub: lena, iat: 2024-01-02T03:04:05Z',
    'unknown_denial',
    {principal: 'lena', resource: 'default/web'},
  ],
  // Google
  [
    '{"reason": "IAM_PERMISSION_DENIED", "domain": "iam.googleapis.com", "metadata": {"permission": "run.services.get", "resource": "projects/shop/locations/europe-west1/services/web"}}',
    'gcp_iam',
    {action: 'run.services.get', resource: 'projects/shop/locations/europe-west1/services/web'},
  ],
  [
    'rpc error: code = PermissionDenied desc = denied metadata { key: "permission" value: "run.services.get" } metadata { key: "resource" value: "projects/shop" } reason: "IAM_PERMISSION_DENIED"',
    'gcp_iam',
    {action: 'run.services.get', resource: 'projects/shop'},
  ],
  [
    'ERROR: (gcloud.projects.describe) You do not appear to have access to project [shop-prod] or it does not exist.',
    'gcp_iam',
    {resource: 'shop-prod'},
  ],
  [
    'googleapi: Error 412: Constraint constraints/iam.disableServiceAccountKeyCreation violated for project shop-prod., conditionNotMet',
    'gcp_iam',
    {resource: 'shop-prod'},
  ],
  [
    'PERMISSION_DENIED: Permission iam.serviceAccounts.getAccessToken denied on resource (or it may not exist). (when acting as ci@shop.iam.gserviceaccount.com)',
    'gcp_iam',
    {action: 'iam.serviceAccounts.getAccessToken', principal: 'ci@shop.iam.gserviceaccount.com'},
  ],
  ['Access Denied: View shop:reports.daily: User does not have permission to query view', 'gcp_iam', {resource: 'shop:reports.daily'}],
  [
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
    'clock_skew',
    {},
  ],
  ['deleted_client: The OAuth client was deleted.', 'gcp_unauthenticated', {}],
  ['details = "Permission denied on resource project <PROJECT>." status = StatusCode.PERMISSION_DENIED', 'gcp_iam', {}],
  [
    'AccessDeniedException: 403 lena@shop.example does not have storage.objects.list access to bucket.',
    'gcp_iam',
    {principal: 'lena@shop.example', action: 'storage.objects.list'},
  ],
  ['Your client does not have permission to get URL / from this server.', 'gcp_iam', {resource: '/'}],
  // databases
  ["ERROR: CREATE TABLE permission denied in database 'orders'.", 'db_auth', {resource: 'orders'}],
  [
    'The server principal "app" is not able to access the database "orders" under the current security context.',
    'db_auth',
    {principal: 'app', resource: 'orders'},
  ],
  ["SQL access control error: Insufficient privileges to operate on schema 'REPORTS'", 'db_auth', {resource: 'REPORTS'}],
  [
    'Unauthorized: Error from server: code=2100 [Unauthorized] message="User app has no SELECT permission on <table shop.orders> or any of its parents"',
    'db_auth',
    {principal: 'app', action: 'SELECT', resource: 'shop.orders'},
  ],
  ["Can't reach database server at `db.shop.example`:`5432`", 'network_denied', {resource: 'db.shop.example'}],
  ['SaslAuthenticationFailedError: [1f2e]: Access denied', 'db_auth', {}],
  ['kafka server: The client is not authorized to access this topic', 'db_auth', {}],
  // registries and Git
  [
    'ERROR: Permission to shop/web.git denied to deploy key\nfatal: Could not read from remote repository.',
    'unknown_denial',
    {resource: 'shop/web.git'},
  ],
  [
    'Error: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=x: 403 Forbidden',
    'unknown_denial',
    {resource: 'https://ghcr.io/token?scope=x'},
  ],
  ['Error: failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden', 'unknown_denial', {}],
  [
    'helm pull oci://ghcr.io/shop/redis: unexpected status code 401: unauthorized: authentication required',
    'credentials_missing',
    undefined,
  ],
  ['npm http 401 https://npm.shop.example/web', 'credentials_invalid', {resource: 'https://npm.shop.example/web'}],
  ['ERR_PNPM_FETCH_403  GET https://npm.shop.example/web: Forbidden - 403', 'unknown_denial', {resource: 'https://npm.shop.example/web'}],
  // tunnels and networks
  [
    "ERROR: rpc error: code = PermissionDenied desc = access denied to perform action 'list' on kube_service",
    'unknown_denial',
    {resource: 'kube_service'},
  ],
  ['Error response: connect to 10.1.2.3:443, connection timed out', 'network_denied', {resource: '10.1.2.3:443'}],
  ['java.net.UnknownHostException: db.shop.example', 'network_denied', {resource: 'db.shop.example'}],
  [
    'FetchError: request to https://api.shop.example/v1 failed, reason: unable to get local issuer certificate',
    'network_denied',
    {resource: 'https://api.shop.example/v1'},
  ],
  [
    'SSL validation failed for https://s3.eu-west-2.amazonaws.com/ [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed',
    'network_denied',
    {resource: 'https://s3.eu-west-2.amazonaws.com/'},
  ],
  [
    "aiohttp.client_exceptions.ClientResponseError: 403, message='Forbidden', url=URL('https://api.shop.example/v1')",
    'unknown_denial',
    {resource: 'https://api.shop.example/v1'},
  ],
  ['HTTP 403: the provided token is not valid', 'credentials_invalid', {}],
  // a box with a right side, which cuts words
  [
    "╭──────────────────────────────────────────────────────────────╮\n│ ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'ru │\n│ n.services.get' denied on resource 'projects/shop-production │\n│ /locations/eu/services/web'                                  │\n╰──────────────────────────────────────────────────────────────╯",
    'gcp_iam',
    {action: 'run.services.get', resource: 'projects/shop-production/locations/eu/services/web'},
  ],
  // stars stand for a name
  ["Permission 'run.services.get' denied on resource '*****' (or it may not exist).", 'gcp_iam', {action: 'run.services.get'}],
  // hosts, URLs and sockets in the words of many programs
  [
    'java.net.ConnectException: Failed to connect to api.shop.example/10.1.2.3:443',
    'network_denied',
    {resource: 'api.shop.example/10.1.2.3:443'},
  ],
  ['Failed to connect to the host, giving up', 'network_denied', {}],
  ['Connection to https://api.shop.example refused', 'network_denied', {resource: 'https://api.shop.example'}],
  [
    "Err:1 http://deb.shop.example focal InRelease\n  Temporary failure resolving 'deb.shop.example'",
    'network_denied',
    {resource: 'deb.shop.example'},
  ],
  [
    'Connection to node -1 (localhost/127.0.0.1:9092) could not be established. Broker may not be available.',
    'network_denied',
    {resource: 'localhost/127.0.0.1:9092'},
  ],
  ['net::ERR_CONNECTION_REFUSED at http://localhost:3000/', 'network_denied', {resource: 'http://localhost:3000/'}],
  ['io exception Connection refused: localhost/127.0.0.1:50051', 'network_denied', {resource: 'localhost/127.0.0.1:50051'}],
  [
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    'network_denied',
    {resource: 'unix:///var/run/docker.sock'},
  ],
  [
    'The TCP/IP connection to the host db.shop.example, port 1433 has failed. Error: "Connection refused"',
    'network_denied',
    {resource: 'db.shop.example'},
  ],
  ['No such host is known. (api.shop.example:443)', 'network_denied', {resource: 'api.shop.example:443'}],
  ["** server can't find api.shop.example: NXDOMAIN", 'network_denied', {resource: 'api.shop.example'}],
  ['read tcp 10.1.2.3:41234->10.1.2.4:443: read: connection reset by peer', 'network_denied', {resource: '10.1.2.4:443'}],
  [
    'ctr: failed to do request: Head https://r.shop.example/v2/web:x509: certificate signed by unknown authority',
    'network_denied',
    {resource: 'https://r.shop.example/v2/web'},
  ],
  // an old push to a registry
  [
    'Error pushing to registry: token auth attempt for registry https://r.shop.example/v2/: https://a.shop.example/auth request failed with status: 403 Forbidden',
    'unknown_denial',
    {resource: 'https://r.shop.example/v2/'},
  ],
  [
    'The push refers to a repository [r.shop.example/web]\n1f2e3d4c5b6a: Layer already exists\ndenied',
    'unknown_denial',
    {resource: 'r.shop.example/web'},
  ],
  // a database and a project named beside the reason
  [
    "Login failed for user 'app'. Reason: Failed to open the explicitly specified database 'orders'.",
    'db_auth',
    {principal: 'app', resource: 'orders'},
  ],
  [
    'Error applying IAM policy for project "shop-prod". Policy is [], error is googleapi: Error 403: The caller does not have permission, forbidden',
    'gcp_iam',
    {resource: 'shop-prod'},
  ],
  // files that a system kept shut, and URLs that a server did
  ["Error: EACCES: permission denied, open '/etc/web/config.json'", 'unknown_denial', {resource: '/etc/web/config.json'}],
  ["mkdir: cannot create directory '/data/web': Permission denied", 'unknown_denial', {resource: '/data/web'}],
  ["chown: changing ownership of '/data': Operation not permitted", 'unknown_denial', {resource: '/data'}],
  ['java.io.FileNotFoundException: /var/log/web.log (Permission denied)', 'unknown_denial', {resource: '/var/log/web.log'}],
  ['nginx: [emerg] open() "/etc/nginx/ssl/key.pem" failed (13: Permission denied)', 'unknown_denial', {resource: '/etc/nginx/ssl/key.pem'}],
  ['HTTPError: 403 Forbidden from https://pypi.shop.example/legacy/', 'unknown_denial', {resource: 'https://pypi.shop.example/legacy/'}],
  [
    "Could not GET 'https://maven.shop.example/web-1.pom'. Received status code 403 from server: Forbidden",
    'unknown_denial',
    {resource: 'https://maven.shop.example/web-1.pom'},
  ],
  [
    'Could not transfer artifact: authorization failed for https://maven.shop.example/web-1.pom, status: 403 Forbidden',
    'unknown_denial',
    {resource: 'https://maven.shop.example/web-1.pom'},
  ],
  [
    'Status code: 403 for https://repo.shop.example/repodata/repomd.xml',
    'unknown_denial',
    {resource: 'https://repo.shop.example/repodata/repomd.xml'},
  ],
  [
    'Client error: `POST https://api.shop.example/v1` resulted in a `403 Forbidden` response',
    'unknown_denial',
    {resource: 'https://api.shop.example/v1'},
  ],
  [
    'failed to fetch https://charts.shop.example/index.yaml : 403 Forbidden',
    'unknown_denial',
    {resource: 'https://charts.shop.example/index.yaml'},
  ],
  ['failed to fetch the token: 403 Forbidden', 'unknown_denial', {}],
  ['Resource not accessible by integration', 'unknown_denial', {}],
]
