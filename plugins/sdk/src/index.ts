export type * from './check.ts'
export type * from './domain.ts'
export {codes, describeError, type ErrorCode, type ErrorDescription, ProdError} from './errors.ts'
export type * from './explainer.ts'
export {type Conferred, defineGrantProvider, type GrantProvider, type Known} from './grant-provider.ts'
export {type Delivered, defineNotifier, type Notice, type NoticeChannel, type Notifier} from './notifier.ts'
export type * from './plugin.ts'
export {
  type Access,
  type Channel,
  definePrimitive,
  type FoundTarget,
  type Lender,
  type NamedPath,
  type Permission,
  type Primitive,
  type StartOptions,
  type Use,
} from './primitive.ts'
