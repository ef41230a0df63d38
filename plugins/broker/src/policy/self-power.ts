/** Tools that could change policy, groups or the store themselves (TM-G2): who owns these owns everything else. Plain data. */
import {basename} from 'node:path'
import type {Command} from '@prod/sdk/grammar/compile'
import {takesAnything} from './open-values.ts'

type Judge = (command: Command) => boolean

const always: Judge = () => true
const unless =
  (...words: string[]): Judge =>
  ({grammar: {path}}) =>
    !path.some(word => words.some(known => (known.endsWith('-') ? word.startsWith(known) : word === known)))
const first =
  (words: string[], and: Judge = always): Judge =>
  command =>
    // a command without a path says what it does in its arguments
    command.grammar.path.length === 0 ? command.operands.length > 0 : words.includes(command.grammar.path[0] ?? '') && and(command)
const looks = unless('list', 'list-', 'get', 'get-', 'describe', 'describe-', 'show', 'view', 'status', 'read', 'search', 'whoami')
/** A client of a database: harmless while it reads, or while a parser of its language says that it reads. */
const database: Judge = command => command.grammar.class !== 'read' || takesAnything(command)

/** By the name of the program. */
const programs: [RegExp, Judge][] = [
  [/^prod$/, always],
  [
    /^git$/,
    first(['push', 'send-pack', 'receive-pack', 'http-push', 'update-ref', 'config', 'remote', 'commit', 'merge', 'am', 'fast-import']),
  ],
  [/^git-(?:push|send-pack|receive-pack|http-push|shell)$/, always],
  [/^(?:gh|glab|tea|bb)$/, looks],
  [/^(?:okta|kcadm(?:\.sh)?|auth0|az-ad|ipa|samba-tool|dsconf|dsctl|dsidm|ldap(?:add|modify|delete|modrdn|passwd)|slap[a-z]+)$/, looks],
  [
    /^(?:(?:user|group)(?:add|mod|del|mems)|adduser|addgroup|deluser|delgroup|gpasswd|passwd|chpasswd|chgpasswd|newusers|newgrp|vipw|vigr|visudo)$/,
    always,
  ],
  [/^aws$/, first(['iam', 'identitystore', 'sso-admin', 'organizations', 'cognito-idp', 'ds', 'codecommit', 'account'], looks)],
  [
    /^gcloud$/,
    ({grammar: {path}}) =>
      path.some(word => /iam-policy-binding|^set-iam-policy$/.test(word)) ||
      (['iam', 'identity', 'organizations'].includes(path[0] ?? '') && looks({grammar: {path}} as Command)),
  ],
  [/^az$/, first(['ad', 'role', 'identity'], looks)],
  [/^vault$/, first(['policy', 'auth', 'write', 'delete', 'token', 'operator', 'secrets'], looks)],
  [/^(?:psql|mysql|mariadb|sqlite|mongosh|mongo|redis-cli|cockroach|sqlplus|usql|pgcli|mycli|litecli)$/, database],
]

/** Whether this command of a program could change policy, groups or the store. Pure. */
export function couldChangeUs(program: string, command: Command): boolean {
  const name = basename(program).replace(/(?<=[a-z])-?\d+(?:\.\d+)*$/, '')
  return programs.some(([pattern, judge]) => (pattern.test(name) || pattern.test(basename(program))) && judge(command))
}
