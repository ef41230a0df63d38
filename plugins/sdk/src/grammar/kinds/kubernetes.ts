/** What kubectl calls a type of resources. */
import type {ValueKinds} from '../kind.ts'

/** `kubernetes-type`. */
export const kubernetesKinds: ValueKinds = {
  // TYPE, TYPE.GROUP, TYPE.VERSION.GROUP; kubectl takes any case, the singular, and a version or an empty group behind a dot
  'kubernetes-type': {
    fields: [],
    samples: () => ['pods', 'deploy', 'nodes', 'svc'],
    cedar: 'String',
    test: value => /^[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.?$/i.test(value) && !/^secret(?:s|lists?)?(?:\.|$)/i.test(value),
    describe: () => 'a type of resources such as pods, deploy or certificates.cert-manager.io, but never Secrets',
  },
}
