/**
 * The data channel of Session Manager, without the plugin and without an SDK: whoever has a session's StreamUrl and token opens a shell,
 * a command or a port on it.
 */
export {openCommand} from './command.ts'
export type {Kms} from './handshake.ts'
export {openPort, type PortOptions, type PortSession} from './port.ts'
export {openShell} from './shell.ts'
export {signUpgrade} from './sign.ts'
export type {ChannelOptions} from './view.ts'
