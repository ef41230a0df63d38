/**
 * Names of variables that nobody may set for a program, a definition included (TM-H8): they make a loader, a shell, an interpreter
 * or a tool run or load something else, move what the broker chose, or hold a credential (TM-U2). The source of a pattern for
 * the whole name. What only configures a tool (`KUBECONFIG`, `GIT_DIR`, `HTTPS_PROXY`) a definition may name; a caller sets nothing.
 */
export const refusedVariables = [
  'LD_.*|DYLD_.*|GLIBC_.*|MALLOC_.*|GCONV_PATH|RES_OPTIONS|HOSTALIASES|LOCALDOMAIN|NIS_PATH|GETCONF_DIR|LIBPATH',
  'IFS|ENV|CDPATH|GLOBIGNORE|SHELLOPTS|BASH.*|PS0|PS4|PROMPT_COMMAND|HISTFILE|HISTCONTROL|FPATH|ZDOTDIR',
  'PYTHON.*|PERL.*|RUBY.*|GEM_.*|NODE_.*|NPM_(?!CONFIG_).*|NPM_CONFIG_(?:SCRIPT_SHELL|NODE_OPTIONS|GIT|PREFIX|USERCONFIG|GLOBALCONFIG)',
  'JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|LUA_.*|PHP.*|GO(?:DEBUG|FLAGS|TRACEBACK)',
  'GIT_(?:SSH.*|EXTERNAL_DIFF|PROXY_COMMAND|ASKPASS|EXEC_PATH|TEMPLATE_DIR|TRACE.*|REDIRECT_.*)|SSH_.*|KUBECTL_EXTERNAL_DIFF',
  '.*PAGER|.*EDITOR|VISUAL|BROWSER|LESS(?:OPEN|CLOSE|KEY.*|EDIT)|MORE|TERMINFO.*|TERMCAP|LOCPATH|NLSPATH',
  'TAR_OPTIONS|GZIP|XZ_(?:OPT|DEFAULTS)|ZSTD_.*|MAKEFLAGS|MFLAGS|MAKEFILES|GNUMAKEFLAGS|CURL_HOME|WGETRC|OPENSSL_.*|SSLKEYLOGFILE',
  'TMPDIR|TMP|TEMP|SYSTEMD_.*|XDG_.*|DBUS_.*|NOTIFY_SOCKET|LISTEN_.*',
  'PWD|OLDPWD|SHLVL|_|SHELL|USER|LOGNAME|UID|EUID|PPID|GROUPS|HOSTNAME|PROD_RUN',
  '.*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|_PWD|SECRET_?KEY|ACCESS_?KEY_?(?:ID)?|API_?KEY|PRIVATE_?KEY)',
].join('|')

/** What every program gets (TM-H8), wherever it runs, before its home: nothing of the broker's or the caller's own environment. */
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
