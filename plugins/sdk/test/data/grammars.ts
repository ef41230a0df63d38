/** Grammars of well-known tools, as a catalog would hold them: for the tests of the grammar. Keyed by the corpus's tool name. */
import type {OptionGrammar, ValueSpec} from '../../src/grammar/grammar.ts'

const all: ValueSpec['leading'] = ['+', '@', '|', '!', 'scheme']
const logFile: ValueSpec = {type: 'path', below: ['/var/log/app']}
const attached: OptionGrammar['attach'] = ['separate', 'equals', 'attached']
const count = (max: number, min = 0): ValueSpec => ({type: 'integer', min, max})

const unit = {name: 'unit', type: 'unit-name', min: 1, max: 10}
const systemctl = {
  options: {'--no-pager': {value: 'flag', required: true}, '--lines': {value: count(1000), aliases: ['-n'], attach: attached}},
  commands: [
    {path: ['status'], class: 'read', optionsStand: 'anywhere', operands: [unit]},
    {
      path: ['show'],
      class: 'read',
      optionsStand: 'anywhere',
      options: {
        '--property': {value: {type: 'list', of: {type: 'enum', values: ['ActiveState', 'SubState', 'NRestarts', 'MainPID', 'Id']}}, aliases: ['-p'], required: true, repeat: true},
      },
      operands: [unit],
    },
    {path: ['is-active'], class: 'read', optionsStand: 'anywhere', operands: [unit]},
    {path: ['is-failed'], class: 'read', optionsStand: 'anywhere', operands: [unit]},
    {
      path: ['list-units'],
      class: 'read',
      options: {'--type': {type: 'enum', values: ['service', 'timer', 'socket']}, '--state': {type: 'enum', values: ['failed', 'active', 'inactive']}, '--all': {value: 'flag', aliases: ['-a']}},
    },
    {path: ['list-timers'], class: 'read', options: {'--all': {value: 'flag', aliases: ['-a']}}},
  ],
}

const kinds = ['pod', 'pods', 'po', 'deploy', 'deployment', 'deployments', 'svc', 'service', 'services', 'node', 'nodes', 'no', 'job', 'jobs', 'events', 'replicasets', 'rs']
const kind: ValueSpec = {type: 'enum', values: kinds}
const kindName: ValueSpec = {type: 'joined', of: [kind, 'name'], separator: '/'}
const kubeOutput: ValueSpec = {
  type: 'any',
  of: [{type: 'enum', values: ['json', 'yaml', 'wide', 'name']}, {type: 'joined', of: [{type: 'literal', value: 'jsonpath'}, {type: 'string', maxLength: 1000}], separator: '='}],
}
const reads = {
  '-o': {value: kubeOutput, aliases: ['--output'], attach: ['separate', 'equals', 'attached', 'short-equals']},
  '-l': {value: 'string', aliases: ['--selector']},
  '-A': {value: 'flag', aliases: ['--all-namespaces'], excludes: ['-n']},
}
const kubectl = {
  options: {'-n': {value: 'name', aliases: ['--namespace'], attach: ['separate', 'equals', 'attached', 'short-equals']}},
  commands: [
    {path: ['get'], class: 'read', optionsStand: 'anywhere', options: reads, operands: [{name: 'kinds', type: {type: 'list', of: kind}}, {name: 'names', type: 'name', min: 0, max: 20}]},
    {path: ['get'], name: 'objects', class: 'read', optionsStand: 'anywhere', options: reads, operands: [{name: 'objects', type: kindName, max: 20}]},
    {path: ['describe'], class: 'read', optionsStand: 'anywhere', operands: [{name: 'kind', type: kind}, {name: 'names', type: 'name', min: 0, max: 20}]},
    {
      path: ['logs'],
      class: 'read',
      optionsStand: 'anywhere',
      options: {'--tail': count(10_000), '--since': 'duration', '-c': {value: 'name', aliases: ['--container']}, '--previous': {value: 'flag', aliases: ['-p']}},
      operands: [{name: 'source', type: {type: 'any', of: ['name', kindName]}}],
    },
    {path: ['version'], class: 'read', options: {'--client': 'flag', '-o': {value: {type: 'enum', values: ['json', 'yaml']}, aliases: ['--output']}}},
    {path: ['api-resources'], class: 'read'},
    {path: ['rollout', 'status'], class: 'read', optionsStand: 'anywhere', options: {'--timeout': 'duration'}, operands: [{name: 'object', type: kindName}]},
    {path: ['rollout', 'history'], class: 'read', optionsStand: 'anywhere', options: {'--revision': count(100_000)}, operands: [{name: 'object', type: kindName}]},
  ],
}

const curl = {
  commands: [
    {
      path: [],
      class: 'read',
      optionsStand: 'anywhere',
      bundles: true,
      options: {
        '-s': {value: 'flag', aliases: ['--silent']},
        '-S': {value: 'flag', aliases: ['--show-error']},
        '-f': {value: 'flag', aliases: ['--fail']},
        '-i': {value: 'flag', aliases: ['--include']},
        '-I': {value: 'flag', aliases: ['--head']},
        '-m': {value: count(60, 1), aliases: ['--max-time'], attach: ['separate', 'attached']},
        '-H': {value: {type: 'string', pattern: 'Accept: [A-Za-z0-9 ;=,.*/+-]{1,100}'}, aliases: ['--header'], attach: ['separate']},
        '-o': {value: {type: 'literal', value: '/dev/null'}, aliases: ['--output'], attach: ['separate']},
        '-w': {value: {type: 'string', pattern: '(?:[A-Za-z0-9 :=,._-]|\\\\n|%\\{[a-z_]{1,40}\\})+'}, aliases: ['--write-out'], attach: ['separate']},
      },
      operands: [{name: 'url', type: {type: 'url', hosts: ['status.internal.example']}}],
    },
  ],
}

const fileName: ValueSpec = {type: 'text', leading: ['-', '+', '@', '|', '!'], maxLength: 255}
const find = {
  commands: [
    {
      path: [],
      class: 'read',
      optionsStand: 'after',
      options: Object.fromEntries([
        ...['-name', '-iname', '-path'].map(name => [name, {value: fileName, repeat: true}]),
        ...['-mtime', '-mmin', '-size'].map(name => [name, {value: {type: 'string', leading: ['-', '+'], pattern: '[+-]?[0-9]{1,12}[ckMG]?'}, repeat: true}]),
        ...['-maxdepth', '-mindepth'].map(name => [name, count(100)]),
        ...['-newermt'].map(name => [name, {value: {type: 'string', pattern: '[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:]{5,8})?'}, repeat: true}]),
        ['-type', {value: {type: 'enum', values: ['f', 'd', 'l']}, repeat: true}],
        ['-user', {value: 'name', repeat: true}],
        ['-printf', {value: {type: 'string', leading: ['-', '+', '@', '|', '!']}, repeat: true}],
        ...['-print', '-ls', '-empty', '-o', '-a', '!', '(', ')'].map(name => [name, {value: 'flag', repeat: true}]),
      ]),
      operands: [{name: 'start', type: {type: 'path', below: ['/var/log']}}],
    },
  ],
}

const archive: ValueSpec = {type: 'path', below: ['/backup']}
const listing = {
  '-v': {value: 'flag', aliases: ['--verbose']},
  '-z': {value: 'flag', aliases: ['--gzip']},
  '-f': {value: archive, aliases: ['--file'], required: true},
  '--wildcards': 'flag',
}
const members = [{name: 'members', type: {type: 'text', leading: ['+', '@', '|', '!']}, min: 0, max: 50}]
const tar = {
  commands: [
    {path: [], class: 'read', bundles: true, dashes: 'allowed', optionsStand: 'anywhere', options: {'-t': {value: 'flag', aliases: ['--list'], required: true}, ...listing}, operands: members},
    // the old style: the first word is a bundle without a dash
    ...['tf', 'tvf', 'tzf', 'tvzf'].map(word => ({path: [word], class: 'read', operands: [{name: 'archive', type: archive}, ...members]})),
  ],
}

const revision: ValueSpec = {type: 'string', pattern: '[A-Za-z0-9][A-Za-z0-9._/~^@-]{0,200}'}
const path: ValueSpec = {type: 'relative-path'}
const limited = {'-n': {value: count(1000, 1), aliases: ['--max-count'], attach: attached}}
const git = {
  commands: [
    {
      path: ['log'],
      class: 'read',
      options: {...limited, '--oneline': 'flag', '--stat': 'flag', '-S': {value: {type: 'text', leading: ['-', ...(all ?? [])]}, attach: ['separate', 'attached']}},
      optionsStand: 'anywhere',
      dashes: 'allowed',
      operands: [{name: 'revision', type: revision, min: 0}, {name: 'paths', type: path, min: 0, max: 20, afterDashes: true}],
    },
    {
      path: ['diff'],
      class: 'read',
      options: {'--stat': 'flag', '--name-only': 'flag'},
      dashes: 'allowed',
      operands: [{name: 'revisions', type: revision, min: 0, max: 2}, {name: 'paths', type: path, min: 0, max: 20, afterDashes: true}],
    },
    {path: ['show'], class: 'read', operands: [{name: 'object', type: {type: 'any', of: [revision, {type: 'joined', of: [revision, path], separator: ':'}]}}]},
    {path: ['status'], class: 'read', options: {'--porcelain': {value: {type: 'enum', values: ['v1', 'v2']}, optional: true}, '--branch': {value: 'flag', aliases: ['-b']}, '--short': {value: 'flag', aliases: ['-s']}}},
    {path: ['blame'], class: 'read', options: {'-L': {value: {type: 'string', pattern: '[0-9]{1,7},[0-9]{1,7}'}, attach: ['separate', 'attached']}}, dashes: 'allowed', operands: [{name: 'path', type: path}]},
    {
      path: ['grep'],
      class: 'read',
      options: {'-n': 'flag', '-i': 'flag', '-e': {value: {type: 'text', leading: ['-', ...(all ?? [])]}, required: true}},
      dashes: 'required',
      operands: [{name: 'paths', type: path, min: 0, max: 20}],
    },
    {path: ['ls-remote'], class: 'read', operands: [{name: 'remote', type: {type: 'literal', value: 'origin'}}, {name: 'refs', type: revision, min: 0, max: 20}]},
  ],
}

const pattern: ValueSpec = {type: 'text', leading: all, maxLength: 1000}
const grepOptions = {
  '-n': {value: 'flag', aliases: ['--line-number']},
  '-i': {value: 'flag', aliases: ['--ignore-case']},
  '-c': {value: 'flag', aliases: ['--count']},
  '-F': {value: 'flag', aliases: ['--fixed-strings'], excludes: ['-E']},
  '-E': {value: 'flag', aliases: ['--extended-regexp']},
  ...Object.fromEntries(['-A', '-B', '-C'].map(name => [name, {value: count(1000), attach: attached}])),
}
const grep = {
  commands: [
    {path: [], class: 'read', bundles: true, dashes: 'allowed', options: grepOptions, operands: [{name: 'pattern', type: pattern}, {name: 'file', type: logFile}]},
    {
      path: [],
      name: 'by-option',
      class: 'read',
      bundles: true,
      options: {...grepOptions, '-e': {value: {...pattern, leading: ['-', ...(all ?? [])]}, aliases: ['--regexp'], required: true}},
      operands: [{name: 'file', type: logFile}],
    },
  ],
}

const moment: ValueSpec = {type: 'any', of: ['duration', {type: 'string', pattern: '[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?'}, {type: 'string', leading: ['-'], pattern: '-(?:[1-9]|1[0-9]|2[0-4])h'}]}
const journalctl = {
  commands: [
    {
      path: [],
      class: 'read',
      options: {
        '--no-pager': {value: 'flag', required: true},
        '-u': {value: 'unit-name', aliases: ['--unit'], repeat: true},
        '--since': {value: moment, aliases: ['-S']},
        '--until': {value: moment, aliases: ['-U']},
        '-n': {value: count(5000, 1), aliases: ['--lines'], attach: attached},
        '-o': {value: {type: 'enum', values: ['short', 'json']}, aliases: ['--output']},
        '-p': {value: {type: 'enum', values: ['err', 'warning', 'notice', 'info']}, aliases: ['--priority']},
      },
    },
  ],
}

// the absolute path is the tool's name, its options are fixed, one pattern is free
const generic = {
  commands: [
    {
      path: [],
      class: 'read',
      dashes: 'allowed',
      options: {'-F': {value: 'flag', required: true}},
      operands: [{name: 'pattern', type: pattern}, {name: 'file', type: {type: 'literal', value: '/var/log/app/app.log'}}],
    },
  ],
}

// a wrapper is no tool; the whole line that it may run is spelled out
const timeout = {
  commands: [
    {path: [], name: 'uptime', class: 'read', operands: [{name: 'seconds', type: count(60, 1)}, {name: 'inner', type: {type: 'literal', value: 'uptime'}}]},
    {path: [], name: 'df', class: 'read', operands: [{name: 'seconds', type: count(60, 1)}, {name: 'inner', type: {type: 'literal', value: 'df'}}, {name: 'inner-option', type: {type: 'literal', value: '-h'}}]},
  ],
}

/** The name the tool has in argv[0], and the data of its file. */
export const grammars: Record<string, {tool: string; data: unknown}> = {
  systemctl: {tool: 'systemctl', data: systemctl},
  kubectl: {tool: 'kubectl', data: kubectl},
  curl: {tool: 'curl', data: curl},
  find: {tool: 'find', data: find},
  tar: {tool: 'tar', data: tar},
  git: {tool: 'git', data: git},
  grep: {tool: 'grep', data: grep},
  journalctl: {tool: 'journalctl', data: journalctl},
  generic: {tool: '/usr/bin/grep', data: generic},
  timeout: {tool: 'timeout', data: timeout},
}
