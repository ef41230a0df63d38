/** What explains a refusal, outside the fast path's own file: an entry of its own, loaded when a command has failed. */
export {afterFailure} from '@prod/sdk/cli/after-failure'
