/** The plugin: what tools print when access is denied, one table for each technology. Data alone; the engine is @prod/sdk/explain/explain. */
import type {Explainer} from '@prod/sdk/explainer'
import {aws} from './aws.ts'
import {azure} from './azure.ts'
import {contexts} from './contexts.ts'
import {databases} from './databases.ts'
import {ecs} from './ecs.ts'
import {gcp} from './gcp.ts'
import {hints} from './hints.ts'
import {kubernetes} from './kubernetes.ts'
import {network} from './network.ts'
import {registry} from './registry.ts'
import {ssh} from './ssh.ts'
import {ssm} from './ssm.ts'
import {sudo, vault} from './tools.ts'

/** One for each technology. Of forms that are equally sure, the one that stands first in a text counts, whoever knows it. */
export const explainers: readonly Explainer[] = [
  aws,
  ssm,
  ecs,
  kubernetes,
  gcp,
  azure,
  databases,
  registry,
  vault,
  sudo,
  ssh,
  network,
  contexts,
  hints,
]
