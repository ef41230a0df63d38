import {ProdError} from '@prod/sdk/errors'

/** What every program on this machine gets (TM-H8), before its home: nothing of the broker's or the caller's own environment. */
export const fixedEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  PAGER: 'cat',
  GIT_PAGER: 'cat',
  MANPAGER: 'cat',
  SYSTEMD_PAGER: '',
  AWS_PAGER: '',
  LESSSECURE: '1',
}

/** Names that make a loader, an interpreter or a tool run, read or send something else; nobody may set them. */
const refused = new RegExp(
  `^(?:${[
    'LD_.*|DYLD_.*|GLIBC_.*|MALLOC_.*|GCONV_PATH|RES_OPTIONS|HOSTALIASES|LOCALDOMAIN|NIS_PATH|GETCONF_DIR|LIBPATH',
    'IFS|ENV|CDPATH|GLOBIGNORE|SHELLOPTS|BASH.*|PS0|PS4|PROMPT_COMMAND|HISTFILE|HISTCONTROL|FPATH|ZDOTDIR',
    'PYTHON.*|PERL.*|RUBY.*|GEM_.*|NODE_.*|NPM_.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|LUA_.*|PHP.*|GO(?:DEBUG|FLAGS|TRACEBACK)',
    'GIT_.*|SSH_.*|AWS_.*|GOOGLE_.*|CLOUDSDK_.*|AZURE_.*|KUBE.*|PG.*|MYSQL_.*|DOCKER_.*|VAULT_.*',
    '.*PAGER|.*EDITOR|VISUAL|BROWSER|LESS.*|MORE|TERMINFO.*|TERMCAP|LOCPATH|NLSPATH|TAR_OPTIONS|GZIP|MAKEFLAGS|CURL_.*|WGETRC|OPENSSL_.*',
    '(?:https?|ftp|all|no|rsync)_proxy|SSLKEYLOGFILE|SSL_CERT_.*|TMPDIR|TMP|TEMP|SYSTEMD_.*|XDG_.*|DBUS_.*|NOTIFY_SOCKET|LISTEN_.*',
    'PWD|OLDPWD|SHLVL|_|SHELL|USER|LOGNAME|UID|EUID|PPID|GROUPS|HOSTNAME|PROD_RUN',
  ].join('|')})$`,
  'i',
)

/** Names that only the broker's own fixed part may set: refused to a catalog, accepted in a {@link Use}. */
const brokersOwn = new Set([...Object.keys(fixedEnvironment), 'HOME', 'TERM', 'PS1'])

/**
 * The whole environment of a program: the fixed part, its private home, and what the catalog names. Pure.
 * @param named values by name, from a rule that the catalog checked
 * @param home absolute path of an empty directory
 * @throws CATALOG_INVALID for a name that could make the program run, read or send something else
 */
export function buildEnvironment(named: Record<string, string>, home: string): Record<string, string> {
  for (const [name, value] of Object.entries(named)) {
    if (brokersOwn.has(name) || badVariable(name, value)) {
      throw new ProdError(
        'CATALOG_INVALID',
        `the environment variable ${JSON.stringify(name)} may not be set for a tool`,
        'prod policy check',
      )
    }
  }
  return {...fixedEnvironment, HOME: home, ...named}
}

/**
 * What a `Use` says, with the fixed part and the home where it says nothing: so a program never lacks a PATH. Pure.
 * @throws TOOL_UNAVAILABLE for a name nobody may set
 */
export function completeEnvironment(env: Record<string, string>, home: string): Record<string, string> {
  for (const [name, value] of Object.entries(env)) {
    if (brokersOwn.has(name) ? value.includes('\0') : badVariable(name, value)) {
      throw new ProdError('TOOL_UNAVAILABLE', `the environment variable ${JSON.stringify(name)} may not be set for a program`, 'prod tools')
    }
  }
  return {...fixedEnvironment, HOME: home, ...env}
}

function badVariable(name: string, value: string): boolean {
  return !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) || refused.test(name) || value.includes('\0')
}
