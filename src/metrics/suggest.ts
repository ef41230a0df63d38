/** What shells are still used for: first words, put together with those that do the same job. Pure. */

/** Jobs that people open a shell for, the words that show it, and the definitions of prod's library that would do. */
export const jobs: readonly {what: string; words: readonly string[]; library: readonly string[]}[] = [
  {
    what: 'look at logs',
    words: ['tail', 'less', 'more', 'cat', 'zcat', 'head', 'grep', 'egrep', 'zgrep', 'journalctl', 'dmesg', 'awk', 'sed', 'sort', 'wc'],
    library: ['journalctl', 'tail', 'grep', 'less', 'dmesg', 'awk'],
  },
  {what: 'services', words: ['systemctl', 'service', 'supervisorctl', 'initctl'], library: ['systemctl']},
  {
    what: 'processes',
    words: ['ps', 'top', 'htop', 'kill', 'pkill', 'killall', 'pgrep', 'lsof', 'strace', 'uptime', 'free', 'vmstat', 'perf', 'w'],
    library: ['ps', 'uptime', 'strace', 'perf'],
  },
  {
    what: 'databases',
    words: ['psql', 'mysql', 'mongosh', 'mongo', 'redis-cli', 'sqlite3', 'pg_dump', 'mysqldump'],
    library: ['psql', 'mysql', 'mongosh', 'redis-cli', 'sqlite3'],
  },
  {
    what: 'containers and clusters',
    words: ['docker', 'podman', 'kubectl', 'crictl', 'helm', 'ctr', 'nerdctl'],
    library: ['docker', 'kubectl', 'helm'],
  },
  {
    what: 'the network',
    words: [
      'curl',
      'wget',
      'ping',
      'dig',
      'nslookup',
      'host',
      'ss',
      'netstat',
      'tcpdump',
      'nc',
      'telnet',
      'traceroute',
      'ip',
      'ifconfig',
      'nmap',
      'openssl',
    ],
    library: ['curl', 'dig', 'ss', 'ip', 'tcpdump', 'nmap', 'openssl'],
  },
  {
    what: 'files and disks',
    words: [
      'ls',
      'cd',
      'pwd',
      'df',
      'du',
      'find',
      'rm',
      'mv',
      'cp',
      'mkdir',
      'chmod',
      'chown',
      'tar',
      'gzip',
      'unzip',
      'rsync',
      'scp',
      'stat',
      'mount',
    ],
    library: ['df', 'find', 'tar', 'rsync', 'scp', 'unzip'],
  },
  {what: 'edit files', words: ['vi', 'vim', 'nano', 'emacs', 'ed'], library: []},
  {
    what: 'packages',
    words: ['apt', 'apt-get', 'apt-cache', 'yum', 'dnf', 'rpm', 'dpkg', 'pip', 'npm'],
    library: ['apt', 'apt-get', 'apt-cache', 'npm'],
  },
  {what: 'clouds', words: ['aws', 'gcloud', 'az', 'terraform'], library: ['aws', 'gcloud', 'terraform']},
  {what: 'deployments', words: ['git', 'ansible', 'ansible-playbook', 'make'], library: ['git', 'ansible', 'ansible-playbook', 'make']},
  {what: 'other machines', words: ['ssh', 'su', 'bash', 'sh', 'tmux', 'screen'], library: ['ssh']},
]

/** Words that are about the shell itself: nobody opens one for them. */
const ownWords = new Set([
  'exit',
  'logout',
  'clear',
  'reset',
  'history',
  'fg',
  'bg',
  'jobs',
  'alias',
  'export',
  'unset',
  'set',
  'source',
  'true',
])

/** One recording: whose, where, and how often each first word was typed. */
export interface TypedShell {
  person: string
  target: string
  words: ReadonlyMap<string, number>
}

/** What many people did in shells of one target. Nobody is named. */
export interface Suggestion {
  what: string
  target: string
  people: number
  shells: number
  words: {word: string; people: number; times: number}[]
  /** definitions that come with prod: `prod policy init DIR --tools …` */
  library: string[]
}

/** Fewer people would show what one of them did. */
export const leastPeople = 3

/** Jobs that at least `people` people did on a target, the most shells first; of the words those that so many typed. What is less is left out. */
export function suggest(shells: readonly TypedShell[], people: number): {suggestions: Suggestion[]; leftOut: number} {
  const least = Math.max(leastPeople, people)
  const jobOf = new Map(jobs.flatMap(({what, words}) => words.map(word => [word, what])))
  const groups = new Map<
    string,
    {what: string; target: string; shells: Set<number>; people: Set<string>; words: Map<string, {people: Set<string>; times: number}>}
  >()
  for (const [number, {person, target, words}] of shells.entries()) {
    for (const [word, times] of words) {
      if (ownWords.has(word)) continue
      const what = jobOf.get(word) ?? word
      const key = JSON.stringify([target, what])
      const group = groups.get(key) ?? {what, target, shells: new Set(), people: new Set(), words: new Map()}
      groups.set(key, group)
      group.shells.add(number)
      group.people.add(person)
      const one = group.words.get(word) ?? {people: new Set(), times: 0}
      group.words.set(word, one)
      one.people.add(person)
      one.times += times
    }
  }
  const shown = [...groups.values()].filter(group => group.people.size >= least)
  const suggestions = shown.map(({what, target, shells: seen, people: who, words}) => ({
    what,
    target,
    people: who.size,
    shells: seen.size,
    words: [...words]
      .filter(([, one]) => one.people.size >= least)
      .map(([word, one]) => ({word, people: one.people.size, times: one.times}))
      .sort((a, b) => b.times - a.times || (a.word < b.word ? -1 : 1)),
    library: [...(jobs.find(job => job.what === what)?.library ?? [])],
  }))
  suggestions.sort((a, b) => b.shells - a.shells || b.people - a.people || (a.target + a.what < b.target + b.what ? -1 : 1))
  return {suggestions, leftOut: groups.size - shown.length}
}
