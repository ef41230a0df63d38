export {} from './target.ts'
