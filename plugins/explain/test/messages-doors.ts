import type {Row} from './messages.ts'

/** Other doors than AWS: what tools print there, in the forms that were not known at first. */
export const doors: readonly Row[] = [
  // Vault and its like
  [
    'Error reading kv/data/shop: Error making API request.\n\nURL: GET https://vault.shop.example:8200/v1/kv/data/shop\nCode: 403. Errors:\n\n* 1 error occurred:\n\t* permission denied\n\n',
    'unknown_denial',
    {resource: 'https://vault.shop.example:8200/v1/kv/data/shop'},
  ],
  [
    "Vault::HTTPClientError: The Vault server at `https://vault.shop.example:8200' responded with a 403.",
    'unknown_denial',
    {resource: 'https://vault.shop.example:8200'},
  ],
  ['VaultApiException: {"errors":["permission denied"]}', 'unknown_denial', {}],
  [
    'URL: PUT https://vault.shop.example:8200/v1/auth/approle/login\nCode: 400. Errors:\n\n* missing client token',
    'credentials_missing',
    undefined,
  ],
  ['Error: vault: * invalid role or secret ID', 'credentials_invalid', {}],
  ['Code: 503. Errors:\n\n* Vault is sealed', 'not_a_denial', {}],
  // sudo
  ['[sudo] password for user:\nuser is not in the sudoers file.  This incident will be reported.', 'unknown_denial', {principal: 'user'}],
  ['Sorry, user lena may not run sudo on web-1.', 'unknown_denial', {principal: 'lena', resource: 'web-1'}],
  ['fatal: [web-1]: FAILED! => {"changed": false, "module_stderr": "sudo: a password is required\\n"}', 'credentials_missing', {}],
  ['fatal: [web-1]: FAILED! => {"msg": "Missing sudo password"}', 'credentials_missing', {}],
  ['Sorry, try again.\r\n[sudo] password for lena:\r\nsudo: 1 incorrect password attempt', 'credentials_invalid', {}],
  // Azure
  [
    "(AuthorizationFailed) The client 'lena@shop.example' with object id '1f' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/read' over scope '/subscriptions/7/resourceGroups/shop' or the scope is invalid.",
    'action_not_allowed',
    {principal: 'lena@shop.example', action: 'Microsoft.Compute/virtualMachines/read', resource: '/subscriptions/7/resourceGroups/shop'},
  ],
  ['AADSTS50076: Due to a configuration change, more than a password is needed for this app.', 'mfa_required', {}],
  ['AADSTS700082: The refresh token has expired due to inactivity.', 'credentials_expired', {}],
  ['ERROR: AADSTS7000215: Invalid client secret provided.', 'credentials_invalid', {}],
  ["ERROR: Please run 'az login' to setup account.", 'credentials_missing', {}],
  // Kubernetes
  [
    'Error from server (Forbidden): roles.rbac.authorization.k8s.io "web" is forbidden: attempt to grant extra privileges: [{[get] [] [pods] [] []}] user=&{lena 7 [system:authenticated] map[]} ownerrules=[]',
    'k8s_rbac',
    {principal: 'lena', resource: 'web'},
  ],
  ['error: unable to upgrade connection: Forbidden', 'k8s_rbac', {}],
  ['error: error upgrading connection: unable to upgrade connection: Unauthorized', 'k8s_unauthenticated', {}],
  ['error: unable to upgrade connection: 404 page not found', 'not_a_denial', {}],
  [
    'Error from server (Forbidden): pods is forbidden: User "user" cannot list resource "pods" in API group "" in the namespace "shop"',
    'k8s_rbac',
    {principal: 'user', action: 'list pods', resource: 'shop'},
  ],
  ['Forbidden: cannot list resource "nodes" at the cluster scope', 'k8s_rbac', {action: 'list nodes'}],
  [
    'Error from server: error dialing backend: dial tcp 10.0.4.7:10250: connect: no route to host',
    'target_unreachable',
    {resource: '10.0.4.7:10250'},
  ],
  [
    'unable to fetch metrics from Kubelet node-3 (10.0.4.7): request failed - "403 Forbidden", response: "Forbidden (user=system:serviceaccount:ops:metrics, verb=get, resource=nodes, subresource=stats)"',
    'k8s_rbac',
    {principal: 'system:serviceaccount:ops:metrics', action: 'get nodes/stats', resource: 'node-3'},
  ],
  ['E0301 10:15:00 azure.go:126] Failed to acquire a token: acquiring a new fresh token: no answer', 'k8s_unauthenticated', {}],
  ['Error: auth error: auth exec command \'"kubectl" "oidc-login"\' failed with status exit code: 2', 'k8s_unauthenticated', {}],
  [
    'level=warning msg="access denied" error="ARN is not mapped: arn:aws:iam::111122223333:user/lena"',
    'k8s_unauthenticated',
    {
      principal: 'arn:aws:iam::111122223333:user/lena',
    },
  ],
  ['│ Error: Failed to determine GroupVersionResource for manifest\n│\n│ Unauthorized', 'k8s_unauthenticated', {}],
  ['kubelet: server returned HTTP status 401 Unauthorized', 'k8s_unauthenticated', {}],
  // Google Cloud, and what only sounds like it
  ['rpc error: code = PermissionDenied desc = permission denied: applications, sync, shop/web, sub: lena', 'unknown_denial', {}],
  [
    'Error: GET "https://ghcr.io/v2/shop/web/tags/list": unexpected status code 403: denied: permission_denied: read_package',
    'unknown_denial',
    {resource: 'https://ghcr.io/v2/shop/web/tags/list'},
  ],
  [
    "HTTP Error: 403, Permission 'cloudfunctions.functions.list' denied on 'projects/shop-prod/locations/-/functions'",
    'gcp_iam',
    {action: 'cloudfunctions.functions.list', resource: 'projects/shop-prod/locations/-/functions'},
  ],
  [
    'denied: Permission "artifactregistry.repositories.downloadArtifacts" denied',
    'gcp_iam',
    {
      action: 'artifactregistry.repositories.downloadArtifacts',
    },
  ],
  [
    'Error during createEphemeral for shop-prod:europe-west1:db: googleapi: Error 403: The client is not authorized to make this request., notAuthorized',
    'gcp_iam',
    {resource: 'shop-prod:europe-west1:db'},
  ],
  [
    '{"error": {"code": 403, "message": "Caller does not have storage.objects.get access to object shop-files/a.csv."}}',
    'gcp_iam',
    {action: 'storage.objects.get', resource: 'shop-files/a.csv'},
  ],
  ['code: 7, details: User not authorized to perform this action.', 'gcp_iam', {}],
  ['Authentication Error: Your credentials are no longer valid. Please run firebase login --reauth', 'gcp_unauthenticated', {}],
  ['failed to generate Google Cloud federated token for the pool: {"error":"invalid_target"}', 'gcp_unauthenticated', {}],
  ['googleapi: got HTTP response code 403 with body: <html>', 'gcp_iam', {}],
  // Databases
  ["FATAL: password authentication failed for user 'user'", 'db_auth', {principal: 'user'}],
  ["Access denied for user 'user'@'10.0.0.9' (using password: YES)", 'db_auth', {principal: 'user'}],
  ["(1045, 'Cloud SQL MySQL: this login requires an IAM-authenticated user.')", 'db_auth', {}],
  [
    'psql: error: connection to server at "db.shop.example" (10.0.0.9), port 5432 failed: timeout expired',
    'network_denied',
    {resource: 'db.shop.example'},
  ],
  ['SQL State  : 28000\nMessage    : No select privilege on object [SHOP.CARDS]', 'db_auth', {resource: 'SHOP.CARDS'}],
  ['Error Message: queryTxt ETIMEOUT cluster.shop.example', 'network_denied', {resource: 'cluster.shop.example'}],
  // SSH, networks, registries
  ['user@10.0.0.9: Permission denied (publickey).', 'credentials_invalid', {principal: 'user'}],
  ["root@10.0.0.9's password:\nPermission denied, please try again.", 'credentials_invalid', {principal: 'root'}],
  ['sshd[7]: Failed password for invalid user lena from 10.0.0.9 port 4000 ssh2', 'credentials_invalid', {principal: 'lena'}],
  ['User lena from 10.0.0.9 not allowed because not listed in AllowUsers', 'unknown_denial', {principal: 'lena'}],
  ['channel 0: open failed: administratively prohibited: open failed', 'unknown_denial', {}],
  ['Could not open a connection to your authentication agent.', 'credentials_missing', {}],
  [
    'paramiko.ssh_exception.NoValidConnectionsError: [Errno None] Unable to connect to port 22 on 10.0.0.9',
    'network_denied',
    {
      resource: '10.0.0.9',
    },
  ],
  [
    'requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://api.shop.example/v1/x',
    'unknown_denial',
    {
      resource: 'https://api.shop.example/v1/x',
    },
  ],
  [
    'Error response from daemon: Head "https://registry.shop.example/v2/web/manifests/1": Forbidden',
    'unknown_denial',
    {
      resource: 'https://registry.shop.example/v2/web/manifests/1',
    },
  ],
  [
    'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock',
    'unknown_denial',
    {
      resource: 'unix:///var/run/docker.sock',
    },
  ],
  [
    'FATA[0001] reading manifest 1 in registry.shop.example/web: unauthorized: access to the requested resource is not authorized',
    'unknown_denial',
    {
      resource: 'registry.shop.example/web',
    },
  ],
  // what a status says, whatever words stand around it
  ['The file is gone, or unauthorized. The remote server returned an error: (404) Not Found.', 'not_a_denial', {}],
  [
    'Error creating Project: googleapi: Error 409: Requested entity already exists. If you see a 403 error, ask its owner.',
    'not_a_denial',
    {},
  ],
  ['AccessDeniedException: 403 Access Not Configured. Enable the Storage API.', 'not_a_denial', {}],
  ['{"error": {"code": 403, "errors": [{"domain": "usageLimits", "reason": "dailyLimitExceeded"}]}}', 'throttled', {}],
  ['unable to do port forwarding: socat not found\nssh_exchange_identification: Connection closed by remote host', 'not_a_denial', {}],
  // tokens that no technology owns
  ['{"status": 401, "message": "JWT is missing or invalid"}', 'credentials_invalid', {}],
  ['{"title": "Unauthorized", "detail": "No authorization token provided"}', 'credentials_missing', {}],
  ['error: The token provided is invalid or expired.', 'credentials_invalid', {}],
  // Google Cloud, where the sentence before names what it is about
  [
    'Caught an exception while listing gs://shop-data/orders/: ServiceException: 401 Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket.',
    'gcp_unauthenticated',
    {action: 'storage.objects.list', resource: 'gs://shop-data/orders/'},
  ],
  [
    'Error when reading or editing Service Account "projects/shop/serviceAccounts/web": googleapi: Error 403: Permission \'iam.serviceAccounts.get\' denied on resource (or it may not exist).',
    'gcp_iam',
    {action: 'iam.serviceAccounts.get', resource: 'projects/shop/serviceAccounts/web'},
  ],
  ['Error: the user does not have permission to access Project "shop-1" or it may not exist', 'gcp_iam', {resource: 'shop-1'}],
  [
    'Missing necessary permission iam.serviceAccounts.actAs for ci@shop.example on the service account web@shop.example.',
    'gcp_iam',
    {principal: 'ci@shop.example', action: 'iam.serviceAccounts.actAs', resource: 'web@shop.example'},
  ],
  ['ERROR: Permission denied while accessing Artifact Registry.', 'gcp_iam', {}],
  // databases
  [
    "java.sql.SQLException: Access denied for user 'lena'@'10.0.0.7' (using password: YES) to database 'shop'",
    'db_auth',
    {principal: 'lena', resource: 'shop'},
  ],
  ["severity: 'FATAL', code: '28000', routine: 'ClientAuthentication'", 'db_auth', {}],
  ['FATAL: autentificación fallo para el usuario lena', 'db_auth', {principal: 'lena'}],
  ['ErrorResponse { (83, "FATAL"), (77, "PAM authentication failed"), (82, "auth_failed") }', 'db_auth', {}],
  ["Cannot open server 'shop' requested by the login.", 'db_auth', {resource: 'shop'}],
  ['connection() : auth error: sasl conversation error: (AtlasError) Authentication failed.', 'db_auth', {}],
  // Kubernetes
  ["Forbidden! Configured service account doesn't have access. Service account may have been revoked.", 'k8s_rbac', {}],
  ['Get https://10.0.0.1/api: error executing access token command "/opt/gcloud": exit status 2', 'k8s_unauthenticated', {}],
  [
    '"err":"Post "https://10.0.0.1/apis/authentication.k8s.io/v1/tokenreviews": read tcp 10.0.0.7:5: read: connection reset by peer"',
    'network_denied',
    undefined,
  ],
  // names and addresses that were not reached
  ['{"code": "ECONNREFUSED", "syscall": "connect", "address": "10.0.0.9", "port": 3306}', 'network_denied', {resource: '10.0.0.9'}],
  ['{"code": "EAI_AGAIN", "syscall": "getaddrinfo", "hostname": "db.shop.example"}', 'network_denied', {resource: 'db.shop.example'}],
  ["{ [Error: getaddrinfo ENOTFOUND] code: 'ENOTFOUND', syscall: 'getaddrinfo' }", 'network_denied', {}],
  ['fatal: [web-1]: UNREACHABLE! => {"msg": "Connection timed out during banner exchange"}', 'network_denied', {resource: 'web-1'}],
  ['Cannot resolve host address: vpn.shop.example: Temporary failure in name resolution', 'network_denied', {resource: 'vpn.shop.example'}],
  ['java.io.IOException: Unable to tunnel through proxy. Proxy returns "HTTP/1.1 407 authenticationrequired"', 'network_denied', {}],
  [
    '--2026-01-02 03:04:05--  https://shop.example/latest.zip\nResolving shop.example... 10.0.0.1\nHTTP request sent, awaiting response... 403 Forbidden',
    'unknown_denial',
    {resource: 'https://shop.example/latest.zip'},
  ],
]
