/** What `prod assume` does, apart from its flags. */

export {browserCommand} from './browser-profile.ts'
export {runPlain, serveChild} from './child/serve.ts'
export {openShell} from './child/shell.ts'
export {signInUrl} from './console.ts'
export {obtain} from './credentials/obtain.ts'
export {isLocal, obtainGranted} from './granted/credentials.ts'
export {catalogRoles, obtainGrant} from './granted/grant.ts'
export {leastFor} from './iam/least.ts'
export {openOnce} from './open-page.ts'
export {listRoles} from './roles.ts'
export {countUse} from './used.ts'
export {writeProfile} from './write-profile.ts'
