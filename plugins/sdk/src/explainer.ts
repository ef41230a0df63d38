/** Why access failed, in one technology's words. Fields are null when the text has none: never invented. */
export interface Explanation {
  category: string
  principal: string | null
  action: string | null
  resource: string | null
  role: string | null
  encoded: boolean
  confidence: number
  summary: string
  next: {command: string; why: string}[]
}

/** Explains denied-access messages. Pure and light; linear time; the text is data. */
export interface Explainer {
  readonly id: string
  explain(text: string): Explanation | undefined
}
