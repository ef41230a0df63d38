import {askText} from '@prod/sdk/cli/ask'
import {ProdError} from '@prod/sdk/errors'

/** Asks at the terminal. Throws NO_TERMINAL. */
export function askCode(serial: string): Promise<string> {
  return askText({
    what: `MFA code of ${serial.split('/').at(-1)}`,
    flag: 'type the same command at a terminal',
    check(text) {
      const code = text.replaceAll(' ', '')
      if (!/^\d{6}$/.test(code)) throw new ProdError('USAGE', 'an MFA code has six digits')
      return code
    },
  })
}

/** While a command runs the terminal is the command's: nobody is asked. Throws NO_TERMINAL. */
export function refuseCode(serial: string): Promise<never> {
  return Promise.reject(
    new ProdError(
      'NO_TERMINAL',
      `the role takes another MFA code of ${serial.split('/').at(-1)}, and a command has the terminal`,
      'begin again',
    ),
  )
}
