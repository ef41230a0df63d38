import type {Category, Field} from '../explainer.ts'

/** What is known of a text before it is put into sentences. */
export interface Finding {
  category: Category
  confidence: number
  /** id of the explainer whose form it is */
  by: string
  fields: Record<Field, string | null>
  encoded: string | null
  /** words that next commands may need: `profile`, `namespace` */
  words: Readonly<Record<string, string>>
  evidence: string | null
  /** the sentence of the form itself, where it has one */
  says?: string | undefined
}
