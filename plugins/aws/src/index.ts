/** The plugin: the AWS roles that a person has. */
export {roleSource} from './role-source.ts'
