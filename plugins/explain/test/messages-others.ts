import type {Row} from './messages.ts'

const robot = 'deployer@shop-prod.iam.gserviceaccount.com'

export const others: readonly Row[] = [
  // Kubernetes
  [
    'Error from server (Forbidden): pods is forbidden: User "ana" cannot list resource "pods" in API group "" in the namespace "shop"',
    'k8s_rbac',
    {principal: 'ana', action: 'list pods', resource: 'shop'},
  ],
  [
    'Error from server (Forbidden): secrets "db" is forbidden: User "system:serviceaccount:shop:web" cannot get resource "secrets" in API group "" in the namespace "shop"',
    'k8s_rbac',
    {principal: 'system:serviceaccount:shop:web', action: 'get secrets', resource: 'db'},
  ],
  [
    'Error from server (Forbidden): nodes is forbidden: User "ana@shop.example" cannot list resource "nodes" in API group "" at the cluster scope',
    'k8s_rbac',
    {principal: 'ana@shop.example', action: 'list nodes'},
  ],
  [
    'Error from server (Forbidden): pods "web-7d9f" is forbidden: User "ana" cannot create resource "pods/exec" in API group "" in the namespace "shop"',
    'k8s_rbac',
    {principal: 'ana', action: 'create pods/exec', resource: 'web-7d9f'},
  ],
  [
    'Error from server (Forbidden): deployments.extensions is forbidden: User "ana" cannot list deployments.extensions in the namespace "shop"',
    'k8s_rbac',
    {principal: 'ana', action: 'list deployments', resource: 'shop'},
  ],
  [
    'Error from server (Forbidden): deployments.apps "web" is forbidden: User "ci" cannot patch resource "deployments/scale" in API group "apps" in the namespace "shop": requires one of ["container.deployments.updateScale"]',
    'k8s_rbac',
    {principal: 'ci', action: 'patch deployments/scale', resource: 'web'},
  ],
  [
    'E0301 10:15:00.1 reflector.go:140] failed to list *v1.Secret: secrets is forbidden: User "system:serviceaccount:ops:agent" cannot list resource "secrets" in API group "" at the cluster scope',
    'k8s_rbac',
    {principal: 'system:serviceaccount:ops:agent', action: 'list secrets'},
  ],
  [
    '{"kind":"Status","status":"Failure","message":"jobs.batch is forbidden: User \\"ana\\" cannot create resource \\"jobs\\" in API group \\"batch\\" in the namespace \\"shop\\"","reason":"Forbidden","code":403}',
    'k8s_rbac',
    {principal: 'ana', action: 'create jobs', resource: 'shop'},
  ],
  [
    'Forbidden (user=system:serviceaccount:ops:metrics, verb=get, resource=nodes, subresource=proxy)',
    'k8s_rbac',
    {principal: 'system:serviceaccount:ops:metrics', action: 'get nodes/proxy'},
  ],
  [
    'Error: INSTALLATION FAILED: clusterroles.rbac.authorization.k8s.io is forbidden: User "ana" cannot create resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope',
    'k8s_rbac',
    {principal: 'ana', action: 'create clusterroles'},
  ],
  [
    'Error from server (Forbidden): pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
    'k8s_unauthenticated',
    {principal: 'system:anonymous', action: 'list pods', resource: 'default'},
  ],
  ['error: You must be logged in to the server (Unauthorized)', 'k8s_unauthenticated', {}],
  ['Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials', 'k8s_unauthenticated', {}],
  ['Unable to connect to the server: getting credentials: exec: executable aws failed with exit code 255', 'k8s_unauthenticated', {}],
  ['Unable to connect to the server: getting credentials: exec: executable aws-iam-authenticator not found', 'not_a_denial', {}],
  [
    'Error from server (Forbidden): error when creating "pod.yaml": pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "x" must not set securityContext.privileged=true)',
    'not_a_denial',
    undefined,
  ],
  [
    'Error from server (Forbidden): pods "x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10',
    'not_a_denial',
    undefined,
  ],
  ['Error from server: admission webhook "validate.policy.example" denied the request: label team is missing', 'not_a_denial', undefined],
  ['Error from server (NotFound): deployments.apps "web" not found', 'not_a_denial', undefined],
  ['Unable to connect to the server: dial tcp 10.1.2.3:443: i/o timeout', 'network_denied', undefined],
  [
    'The connection to the server localhost:8080 was refused - did you specify the right host or port?',
    'network_denied',
    {resource: 'localhost:8080'},
  ],
  ['Error from server: error dialing backend: dial tcp 10.1.2.3:10250: connect: no route to host', 'target_unreachable', undefined],

  // Google Cloud
  [
    `ERROR: (gcloud.compute.instances.list) PERMISSION_DENIED: Permission 'compute.instances.list' denied on resource '//compute.googleapis.com/projects/shop-prod' (or it may not exist).`,
    'gcp_iam',
    {action: 'compute.instances.list', resource: '//compute.googleapis.com/projects/shop-prod'},
  ],
  [
    `googleapi: Error 403: Required 'compute.instances.get' permission for 'projects/shop-prod/zones/europe-west1-b/instances/web', forbidden`,
    'gcp_iam',
    {action: 'compute.instances.get', resource: 'projects/shop-prod/zones/europe-west1-b/instances/web'},
  ],
  [
    `AccessDeniedException: 403 ${robot} does not have storage.objects.list access to the Google Cloud Storage bucket.`,
    'gcp_iam',
    {principal: robot, action: 'storage.objects.list'},
  ],
  [
    `Error 403: ${robot} does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get' denied on resource (or it may not exist)., forbidden`,
    'gcp_iam',
    {principal: robot, action: 'storage.objects.get'},
  ],
  [
    'Access Denied: Project shop-prod: User does not have bigquery.jobs.create permission in project shop-prod.',
    'gcp_iam',
    {action: 'bigquery.jobs.create', resource: 'shop-prod'},
  ],
  [
    `ERROR: (gcloud.projects.describe) User [ana@shop.example] does not have permission to access projects instance [shop-prod] (or it may not exist): The caller does not have permission`,
    'gcp_iam',
    {principal: 'ana@shop.example', resource: 'shop-prod'},
  ],
  [
    'rpc error: code = PermissionDenied desc = Permission "secretmanager.versions.access" denied for resource "projects/1/secrets/db/versions/latest" (or it may not exist).',
    'gcp_iam',
    {action: 'secretmanager.versions.access', resource: 'projects/1/secrets/db/versions/latest'},
  ],
  [
    'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/shop/locations/europe/repositories/web" (or it may not exist)',
    'gcp_iam',
    {action: 'artifactregistry.repositories.uploadArtifacts', resource: 'projects/shop/locations/europe/repositories/web'},
  ],
  [
    'googleapi: Error 403: boss::NOT_AUTHORIZED: Not authorized to access resource. Possibly missing permission cloudsql.instances.connect on resource instances/main., forbidden',
    'gcp_iam',
    {action: 'cloudsql.instances.connect', resource: 'instances/main'},
  ],
  ['Request had insufficient authentication scopes. "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"', 'gcp_iam', {}],
  ["Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc123", 'gcp_iam', {}],
  ["ERROR: (gcloud.compute.start-iap-tunnel) Error while connecting [4033: 'not authorized'].", 'gcp_iam', {}],
  [
    "ERROR: (gcloud.compute.start-iap-tunnel) Error while connecting [4003: 'failed to connect to backend']. (Failed to connect to port 22)",
    'target_unreachable',
    {},
  ],
  ["ERROR: (gcloud.compute.start-iap-tunnel) Error while connecting [4047: 'Failed to lookup instance'].", 'target_unreachable', {}],
  [
    'ServiceException: 401 Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object.',
    'gcp_unauthenticated',
    undefined,
  ],
  [
    'google: could not find default credentials. See https://cloud.google.com/docs/authentication/external/set-up-adc',
    'gcp_unauthenticated',
    {},
  ],
  [
    'oauth2: cannot fetch token: 400 Bad Request Response: {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}',
    'gcp_unauthenticated',
    {},
  ],
  [
    'ERROR: (gcloud.auth.print-access-token) There was a problem refreshing your current auth tokens: Reauthentication failed. cannot prompt during non-interactive execution.',
    'gcp_unauthenticated',
    {},
  ],
  [
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity',
    'gcp_unauthenticated',
    {},
  ],
  [
    'googleapi: Error 403: Cloud Run Admin API has not been used in project 123 before or it is disabled., SERVICE_DISABLED',
    'not_a_denial',
    {},
  ],
  [
    "googleapi: Error 429: Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute', rateLimitExceeded",
    'throttled',
    {},
  ],

  // PostgreSQL
  [
    'psql: error: connection to server at "db.shop.example" (10.1.2.3), port 5432 failed: FATAL:  password authentication failed for user "ana"',
    'db_auth',
    {principal: 'ana'},
  ],
  ['ERROR:  permission denied for table orders', 'db_auth', {resource: 'orders'}],
  ['ERROR: permission denied for schema billing\nLINE 1: select * from billing.cards', 'db_auth', {resource: 'billing'}],
  ['ERROR:  must be owner of table orders', 'db_auth', {resource: 'orders'}],
  ['FATAL:  no pg_hba.conf entry for host "10.1.2.9", user "report", database "shop", SSL off', 'db_auth', {principal: 'report'}],
  ['FATAL:  PAM authentication failed for user "report"', 'db_auth', {principal: 'report'}],
  ['FATAL:  Peer authentication failed for user "postgres"', 'db_auth', {principal: 'postgres'}],
  ['psycopg2.errors.InsufficientPrivilege: permission denied for relation cards', 'db_auth', {resource: 'cards'}],
  ['FATAL:  role "deploy" is not permitted to log in', 'db_auth', {principal: 'deploy'}],
  ['FATAL:  role "deploy" does not exist', 'db_auth', {principal: 'deploy'}],
  ['ERROR:  new row violates row-level security policy for table "cards"', 'db_auth', undefined],
  [
    'FATAL:  The IAM authentication failed for the role report. Check the IAM token for this role and try again.',
    'db_auth',
    {principal: 'report'},
  ],
  ['FATAL:  sorry, too many clients already', 'throttled', {}],
  [
    'psql: error: could not connect to server: Connection timed out\n\tIs the server running on host "db.shop.example" (10.1.2.3) and accepting\n\tTCP/IP connections on port 5432?',
    'network_denied',
    undefined,
  ],
  ['FATAL:  database "shp" does not exist', 'not_a_denial', {}],

  // MySQL
  ["ERROR 1045 (28000): Access denied for user 'ana'@'10.1.2.9' (using password: YES)", 'db_auth', {principal: 'ana'}],
  ["ERROR 1044 (42000): Access denied for user 'ana'@'%' to database 'billing'", 'db_auth', {principal: 'ana', resource: 'billing'}],
  ["ERROR 1142 (42000): DELETE command denied to user 'ana'@'10.1.2.9' for table 'cards'", 'db_auth', undefined],
  ['ERROR 1227 (42000): Access denied; you need (at least one of) the PROCESS privilege(s) for this operation', 'db_auth', undefined],
  ["ERROR 1130 (HY000): Host '10.1.2.9' is not allowed to connect to this MySQL server", 'db_auth', {}],
  ["SQLSTATE[HY000] [1698] Access denied for user 'root'@'localhost'", 'db_auth', {principal: 'root'}],
  ["ERROR 2003 (HY000): Can't connect to MySQL server on 'db.shop.example' (110)", 'network_denied', {resource: 'db.shop.example'}],
  ["ERROR 1049 (42000): Unknown database 'shp'", 'not_a_denial', {}],

  // Redis, MongoDB and others
  ['(error) NOAUTH Authentication required.', 'db_auth', {}],
  ['(error) WRONGPASS invalid username-password pair or user is disabled.', 'db_auth', {}],
  ["(error) NOPERM User report has no permissions to run the 'flushall' command", 'db_auth', {principal: 'report'}],
  ["redis.exceptions.NoPermissionError: this user has no permissions to run the 'get' command", 'db_auth', {}],
  ['Could not connect to Redis at cache.shop.example:6379: Connection timed out', 'network_denied', {resource: 'cache.shop.example:6379'}],
  ['MongoServerError: Authentication failed.', 'db_auth', {}],
  ['MongoServerError: not authorized on shop to execute command { find: "cards", filter: {} }', 'db_auth', {resource: 'shop'}],
  ['MongoServerSelectionError: connection timed out', 'network_denied', {}],
  ["Login failed for user 'report'.", 'db_auth', {principal: 'report'}],
  ['ORA-01017: invalid username/password; logon denied', 'db_auth', {}],

  // SSH and the way there
  ['ubuntu@10.1.2.3: Permission denied (publickey).', 'credentials_invalid', undefined],
  [
    'ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain',
    'credentials_invalid',
    {},
  ],
  ['Received disconnect from 10.1.2.3 port 22:2: Too many authentication failures', 'credentials_invalid', {}],
  ['ssh: connect to host 10.1.2.3 port 22: Connection timed out', 'network_denied', {resource: '10.1.2.3'}],
  ['ssh: connect to host bastion.shop.example port 22: Connection refused', 'network_denied', {resource: 'bastion.shop.example'}],
  ['ssh: Could not resolve hostname bastion: Name or service not known', 'network_denied', undefined],
  ['kex_exchange_identification: Connection closed by remote host', 'network_denied', {}],
  ['curl: (56) Received HTTP code 407 from proxy after CONNECT', 'network_denied', {}],
  ["ProxyError: ('Cannot connect to proxy.', OSError('Tunnel connection failed: 403 Forbidden'))", 'network_denied', {}],

  // registries and Git
  [
    'Error response from daemon: Head "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/web/manifests/1": no basic auth credentials',
    'credentials_missing',
    {resource: 'https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/web/manifests/1'},
  ],
  [
    "Error response from daemon: pull access denied for shop/web, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    'unknown_denial',
    {resource: 'shop/web'},
  ],
  ['toomanyrequests: You have reached your pull rate limit.', 'throttled', {}],
  [
    "fatal: unable to access 'https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/web/': The requested URL returned error: 403",
    'unknown_denial',
    {resource: 'https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/web/'},
  ],
  [
    "fatal: Authentication failed for 'https://git.shop.example/web.git/'",
    'credentials_invalid',
    {resource: 'https://git.shop.example/web.git/'},
  ],

  // nothing
  ['all 42 checks passed in 3 s', 'not_a_denial', {}],
  ['', 'not_a_denial', {}],
]
