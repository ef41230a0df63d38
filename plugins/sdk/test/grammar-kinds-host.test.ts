import {describe, expect, test} from 'vitest'
import {testValue} from '../src/grammar/values.ts'

const cases: [string, Parameters<typeof testValue>[1], {fits: string[]; others: string[]}][] = [
  [
    'curl-format',
    'curl-format',
    {
      fits: ['%{http_code}\\n', 'total %{time_total}s|100%% of %{size_download}', '%header{content-type}', '-%{url.host}', '5% ', '%'],
      others: [
        '@/etc/shadow',
        '@-',
        '%output{/tmp/x}hi',
        '%%%output{/tmp/x}',
        '%{http_code}%output{>>/tmp/x}',
        '%time{%Y}',
        '%{a b}',
        '%h',
      ],
    },
  ],
  [
    'git-revision',
    'git-revision',
    {
      fits: [
        'HEAD~3..HEAD',
        'main...feature/x',
        '^main',
        '@{u}',
        'HEAD@{2 days ago}',
        'v1.2.3^{commit}',
        'HEAD:docs/a.md',
        ':/fix it',
        '..main',
        'src/',
        '.github/x.yml',
        'a..b',
      ],
      others: [
        '--output=x',
        '/etc/shadow',
        '../x',
        'src/../../x',
        'a/..',
        '..',
        'core.pager=x',
        'ext::sh -c x',
        'a//b',
        'x|y',
        'a;b',
        '-',
        '',
        'a\u202eb',
      ],
    },
  ],
  [
    'git-path',
    'git-path',
    {
      fits: ['src/app.ts', '*.ts', ':!vendor', ':(icase)readme', 'a=b', 'docs/'],
      others: ['/etc/shadow', '../x', 'a/../b', '--output', 'a\nb'],
    },
  ],
  [
    'git-format',
    'git-format',
    {
      fits: [
        'oneline',
        '',
        '%h %an %ad %s',
        'format:%C(yellow)%h%C(reset)%n%b',
        'tformat:100%% %x09%(trailers:key=Ticket)',
        '%<(20)%an',
        '%+b',
      ],
      others: ['%G?', '%h %GK', '%+G?', '%%%G?', '%(describe)', '%h %', 'mine'],
    },
  ],
  [
    'sysctl-name',
    {type: 'sysctl-name', values: ['net', 'vm', 'fs']},
    {
      fits: [
        'net.ipv4.ip_forward',
        'net/ipv4/ip_forward',
        'net.ipv4.conf.eth0/100.rp_filter',
        'net/ipv4/conf/eth0.100/rp_filter',
        'vm.swappiness',
      ],
      others: [
        'kernel.hostname',
        'net',
        'netx.y',
        'net.ipv4.ip_forward=1',
        'net/../kernel/hostname',
        'net.//.kernel.hostname',
        'net..kernel',
        'net.*',
        'net.ipv4.tcp_fastopen_key',
        'net/ipv6/conf/default/stable_secret',
        'net.ipv6.conf.default.stable_secret',
      ],
    },
  ],
  [
    'ps-columns',
    'ps-columns',
    {
      fits: ['pid', 'pid,user:20,args', 'pid comm', 'pid=,rss=KB', '%cpu'],
      others: ['environ', 'pid,environ', 'pid environ', 'pid=,environ=', 'ENVIRON', '-rss', 'pid,', ''],
    },
  ],
  [
    'keys of ps',
    {type: 'ps-columns', leading: ['-', '+']},
    {fits: ['-rss', '+pid,-rss', 'start_time'], others: ['environ', '-environ', '--rss', 'pid=x']},
  ],
  [
    'url',
    {type: 'url', hosts: ['status.internal.example']},
    {
      fits: ['https://status.internal.example/a?next=%2Fhealth', 'https://status.internal.example/?v=%2E%2e'],
      others: [
        'https://status.internal.example/a%2Fb',
        'https://status.internal.example/%2e%2e/b',
        'https://status.internal.example/?a=%0d%0ab',
      ],
    },
  ],
]

describe('values that one tool alone reads', () => {
  for (const [name, type, {fits, others}] of cases) {
    test(`TM-H4: ${name}: what would name a file, a program or a secret is none`, () => {
      expect(fits.filter(value => !testValue(value, type))).toEqual([])
      expect(others.filter(value => testValue(value, type))).toEqual([])
    })
  }
})
