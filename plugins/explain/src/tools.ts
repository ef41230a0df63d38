/** Tools that guard a door of their own: Vault and its like, sudo. Sources: Vault's HTTP API, "HTTP status codes"; sudoers(5). */
import type {Explainer} from '@prod/sdk/explainer'

const ofVault = ['vault', ':8200', 'consul', 'openbao', 'nomad', 'boundary']

/** Vault, Consul, Nomad, Boundary, OpenBao: a refused token. They do not say which policy lacks what. */
export const vault: Explainer = {
  id: 'vault',
  rules: [
    {
      category: 'unknown_denial',
      confidence: 0.915,
      match: [
        'url: {method} {resource} code: 403. errors:',
        'the vault server at {resource} responded with a 403',
        'error making api request',
        'hvac.exceptions.forbidden: permission denied, on {method} {resource}',
        'hvac.exceptions.forbidden',
        'vaultapiexception',
        'vaultexception',
        '"errors":["permission denied"]',
        '"errors": ["permission denied"]',
        '"errors":["1 error occurred: * permission denied',
        '1 error occurred: * permission denied',
        'error occurred: * permission denied',
        'unexpected response code: 403 (permission denied',
      ],
      near: ['permission denied', '403', 'forbidden'],
      unless: ['invalid token', 'bad token', 'token expired', 'missing client token', 'not authorized to perform'],
      says: 'Vault, or a server of its kind, refuses this token{on}: no policy of the token allows it, or the token has ended',
    },
    {
      category: 'credentials_missing',
      confidence: 0.92,
      match: ['missing client token', 'no vault token found', 'vault token not found', 'vault_token is not set'],
    },
    {
      category: 'credentials_invalid',
      confidence: 0.93,
      match: [
        '* invalid token',
        '* bad token',
        'invalid role or secret id',
        'invalid role id',
        'invalid secret id',
        'acl not found',
        'could not load the vault token',
      ],
      near: ofVault,
    },
    {
      category: 'not_a_denial',
      confidence: 0.92,
      match: [
        'vault is sealed',
        'no handler for route',
        'unsupported path',
        'no value found at',
        'local node not active but active cluster node not found',
      ],
    },
  ],
  readings: [
    {match: 'url: {method} {resource} code: ', of: ['unknown_denial', 'credentials_invalid', 'credentials_missing', 'not_a_denial']},
    {match: 'permission denied, on {method} {resource}', of: ['unknown_denial']},
  ],
}

/** sudo, su and doas: who may become whom on one machine. */
export const sudo: Explainer = {
  id: 'sudo',
  rules: [
    {
      category: 'unknown_denial',
      confidence: 0.93,
      match: [
        '{principal:name} is not in the sudoers file',
        'not in the sudoers file',
        'user {principal:name} is not allowed to execute {command:text} as ',
        'sorry, user {principal:name} is not allowed to',
        'sorry, user {principal:name} may not run sudo on {resource}.',
        'sorry, user {principal:name} may not run sudo',
        '{principal:name} is not allowed to run sudo on {resource}.',
        '{principal:name} is not allowed to run sudo',
        '{principal} : user not in sudoers',
        '{principal} : command not allowed',
        'doas: operation not permitted',
      ],
      says: 'the sudo rules of this machine do not let {who} do it{on}: its owner decides',
    },
    {
      category: 'credentials_missing',
      confidence: 0.925,
      match: [
        'sudo: a password is required',
        'sudo: a terminal is required',
        'a terminal is required to authenticate',
        'sudo: no tty present and no askpass program specified',
        'sudo: no password was provided',
        'missing sudo password',
        'incorrect sudo password or missing',
        'missing become password',
      ],
      says: 'sudo asks for a password, and none was given',
    },
    {
      category: 'credentials_invalid',
      confidence: 0.925,
      match: [
        'incorrect password attempt',
        'incorrect sudo password',
        'incorrect become password',
        'incorrect su password',
        'su: authentication failure',
      ],
    },
    {
      category: 'not_a_denial',
      confidence: 0.925,
      match: ['sudo: command not found', 'sudo: not found', 'sudo: unable to resolve host', '/etc/sudoers is world writable'],
      unless: ['password is required', 'not in the sudoers'],
    },
  ],
}
