/** Names of the kernel and of processes, as sysctl and ps of procps read them. */
import {orList, suchAs, type ValueKinds} from '../kind.ts'

/** What `ps` prints of a process, without `environ`: its environment. Columns that show secrets of the command line are not told apart. */
const columns = new Set(
  `%cpu %mem ag_id ag_nice args atime blocked bsdstart bsdtime c caught cgname cgroup cgroupns class cls cmd comm command context cp cpuid
  cputime cputimes cuc cuu docker drs dsiz egid egroup eip esp etime etimes euid euser exe f fd fds fgid fgroup flag flags fname fsgid fsgroup
  fsuid fsuser fuid fuser gid group htprv htshr ignored intpri ipcns label lastcpu lim longtname lsession lstart luid lwp lxc m_drs m_size
  m_trs machine maj_flt majflt min_flt minflt mntns netns ni nice nlwp numa oom oomadj opri ouid pagein pcap pcaps pcpu pending pgid pgrp pid
  pidns pmem policy ppid pri pri_api pri_bar pri_baz pri_foo priority psr pss rbytes rchars rgid rgroup rops rss rssize rsz rtprio ruid ruser s
  sched seat sess session sgi_p sgi_rss sgid sgroup sid sig sig_block sig_catch sig_ignore sig_pend sigcatch sigignore sigmask size slice spid
  stackp start start_stack start_time stat state stime suid supgid supgrp suser svgid svgroup svuid svuser sz tgid thcount tid time timens
  times tname tpgid trs trss tsig tsiz tt tty tty4 tty8 ucmd ucomm uid uid_hack uname unit user userns uss util utsns uunit vsize vsz wbytes
  wcbytes wchan wchars wname wops zone`.split(/\s+/),
)
/** keys that the kernel keeps under these names */
const keys = /(?:^|[./])(?:tcp_fastopen_key|stable_secret)(?:$|[./])/

/** `sysctl-name`, `ps-columns`. */
export const kernelKinds: ValueKinds = {
  // after a first dot `/` stands for a dot within a name, so `//` would become `..`; after a first slash it is a path as it stands
  'sysctl-name': {
    fields: ['values', 'pattern'],
    cedar: 'String',
    test: (value, spec) =>
      /^[a-z]+(?:(?:\.[\w:-]+(?:\/[\w:-]+)*)+|(?:\/[\w:-]+(?:\.[\w:-]+)*)+)$/.test(value) &&
      !keys.test(value) &&
      (spec.values ?? []).includes(value.split(/[./]/, 1)[0] as string),
    describe: spec =>
      `the name of a kernel setting below ${orList(spec.values ?? [])}, such as net.ipv4.ip_forward, but no key${suchAs(spec)}`,
    findFault: spec =>
      spec.values?.every(name => /^[a-z]+$/.test(name)) ? undefined : '`values` are the first words of names, such as net',
  },
  'ps-columns': {
    fields: ['leading'],
    samples: () => ['pid,comm', 'pid'],
    cedar: 'String',
    // `leading` with `-` and `+`: keys to sort by, which have no heading and no width
    test: (value, spec) =>
      value.split(/[, ]/).every(column => {
        const form = spec.leading ? /^[+-]?([a-z_0-9%A-Z]+)$/ : /^([a-z_0-9%A-Z]+)(?::[1-9][0-9]{0,4})?(?:=[A-Za-z0-9%_./-]{0,64})?$/
        return columns.has(form.exec(column)?.[1] ?? '')
      }),
    describe: spec =>
      spec.leading ? 'columns to sort by, such as -rss,pid' : 'columns of ps such as pid,user:20,rss=,args, but never the environment',
    maxLength: 1024,
  },
}
