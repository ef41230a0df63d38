import type {Category} from '@prod/sdk/explainer'
import {aws} from './messages-aws.ts'
import {doors} from './messages-doors.ts'
import {elsewhere} from './messages-elsewhere.ts'
import {libraries} from './messages-libraries.ts'
import {others} from './messages-others.ts'
import {posts} from './messages-posts.ts'
import {services} from './messages-services.ts'
import {slips} from './messages-slips.ts'
import {tools} from './messages-tools.ts'
import {wordings} from './messages-wordings.ts'

/** A message as a tool prints it, written here from the documented form; its category; the fields, those left out being null. undefined: fields are not looked at. */
export type Row = readonly [
  text: string,
  category: Category,
  fields: {principal?: string; action?: string; resource?: string; role?: string; encoded?: boolean} | undefined,
]

export const messages: readonly Row[] = [
  ...aws,
  ...others,
  ...tools,
  ...libraries,
  ...services,
  ...doors,
  ...elsewhere,
  ...posts,
  ...wordings,
  ...slips,
]
